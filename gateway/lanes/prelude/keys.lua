-- The keys, by the names that keys.py has for them: a test holds the two together. No script gets a
-- key as KEYS: it is one Redis, never a cluster.

local KEY_DESTINATIONS = 'gw:destinations'
local KEY_WAKE = 'gw:wake'
local KEY_COUNTS = 'gw:counts'
local KEY_DEAD_LETTERS = 'gw:dead_letters'
local KEY_HEARTBEATS = 'gw:heartbeats'
local KEY_SERVER_RUN = 'gw:server_run'
local KEY_CLOCK = 'gw:clock'
local KEY_SERVER_BEGAN = 'gw:server_began'
local KEY_SEQUENCE = 'gw:sequence'
local KEY_FAILOVER = 'gw:failover'
local KEY_FAILOVER_CLOSED = 'gw:failover_closed'

local function key_message(id) return 'gw:msg:' .. id end
local function key_lane(lane) return 'gw:lane:' .. lane end
local function key_lease(lane) return 'gw:lease:' .. lane end
local function key_answer(lane) return 'gw:answer:' .. lane end
local function key_route(lane) return 'gw:route:' .. lane end
local function key_pace(lane) return 'gw:pace:' .. lane end
local function key_due(destination) return 'gw:due:' .. destination end
local function key_gate(destination) return 'gw:gate:' .. destination end
local function key_failing(destination) return 'gw:failing:' .. destination end
local function key_throttled(destination) return 'gw:throttled:' .. destination end
local function key_claim(token) return 'gw:claim:' .. token end
local function key_alive(worker) return 'gw:alive:' .. worker end
local function key_tombstone(id) return 'gw:tombstone:' .. id end
local function key_external(channel, id) return 'gw:external:' .. channel .. ':' .. id end
local function key_parked(channel, id) return 'gw:parked:' .. channel .. ':' .. id end
local function key_flood(kind, customer) return 'gw:flood:' .. kind .. ':' .. customer end
local function key_brake(customer) return 'gw:brake:' .. customer end
local function key_cursor(channel) return 'gw:cursor:' .. channel end
local function key_hold(destination) return 'gw:hold:' .. destination end
local function key_look_wanted(channel) return 'gw:look_wanted:' .. channel end
local function key_catch_up_wanted(channel) return 'gw:catch_up_wanted:' .. channel end
local function key_lock_poller(channel) return 'gw:lock:poller:' .. channel end
