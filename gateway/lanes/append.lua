-- Store messages durably, each once, and make their lanes due.
-- ARGV[1] nonce: names this request; repeated with it, the answer is the same
-- ARGV[2] JSON list of {id, lane, destination, kind, channel, body, settle and age (ms), order (or
--         null), written (ms, or null), for replies status_lane, status_destination, shown, and for
--         what counts towards the brake of a customer brake: {of: who, most, window (ms)}}
-- ARGV[3] key of RQ's queue list: somebody must ring only if it is empty
-- ARGV[4] JSON {} or {channel, token, cursor}: a poller's cursor, moved in the same step and only
--         while the poller holds its lease
-- Returns {outcome of each: 'new' | 'duplicate' | 'withdrawn' …}, ring (0 or 1), sequence number;
-- or {'void'}, 0

local nonce = ARGV[1]
local poll = cjson.decode(ARGV[4])
if poll.channel then
  local holder = redis.call('GET', key_lock_poller(poll.channel))
  if holder ~= poll.token then return { { 'void' }, 0 } end
  redis.call('SET', key_cursor(poll.channel), poll.cursor)
end

local QUIET = 60000  -- ms of silence that end a flood

-- More than `most` within the window: the brake is on until nothing has come for a while.
local function count_towards_brake(item)
  local rule = item.brake
  local seen, key = key_flood(item.kind, rule.of), key_brake(rule.of)
  local times = redis.call('INCR', seen)
  if times == 1 then redis.call('PEXPIRE', seen, rule.window) end
  if times > rule.most and redis.call('HSETNX', key, 'since', now) == 1 then
    count('brakes', item.channel)
  end
  if redis.call('PEXPIRE', key, QUIET) == 1 and item.kind == 'in' then
    redis.call('HSET', key_route(item.lane), 'brake', key)
    redis.call('EXPIRE', key_route(item.lane), LEDGER)
  end
end

-- What was written before a fail-over may be a message that the server has lost: accepted,
-- delivered, and brought once more. The clocks of the one who wrote and of Redis need not agree.
-- Of a customer's message whose network does not tell when it was written, any that comes within the
-- time in which networks repeat a webhook may be old. (Chatwoot sends each webhook once.)
local SKEW = 10000
local REPEATED_WITHIN = 15 * 60000
local function may_be_lost(item, at)
  if item.written ~= cjson.null then
    local written = item.age > 0 and now - item.age or item.written + ahead
    return written < at + SKEW
  end
  return item.kind == 'in' and now < at + REPEATED_WITHIN
end

local function check_failover(item)
  local at = tonumber(redis.call('GET', KEY_FAILOVER))
  if not at or not may_be_lost(item, at) then return end
  mark_uncertain_by_failover(item.lane, key_message(item.id), at)
end

local function store(item)
  local msg, lane = key_message(item.id), key_lane(item.lane)
  local known = redis.call('HGET', msg, 'request')
  if known then return known == nonce and 'new' or 'duplicate' end
  if redis.call('EXISTS', key_tombstone(item.id)) == 1 then
    count('withdrawn', item.channel)
    return 'withdrawn'
  end
  local order = item.order
  if order == cjson.null then order = order_at_end(item.lane) end
  redis.call('HSET', msg, 'v', '1', 'kind', item.kind, 'body', item.body, 'lane', item.lane,
             'destination', item.destination, 'channel', item.channel, 'state', 'waiting',
             'appended', now - item.age, 'ready', now + item.settle, 'request', nonce,
             'order', order)
  if item.status_lane then
    redis.call('HSET', msg, 'status_lane', item.status_lane,
               'status_destination', item.status_destination)
    if item.shown == 'failed' then mark_failed(item.id) end
  end
  check_failover(item)
  redis.call('ZADD', lane, order, item.id)
  make_due(item.lane, item.destination, now + item.settle)
  count('accepted_' .. item.kind, item.channel)
  if item.brake then count_towards_brake(item) end
  return 'new'
end

local outcomes, asked = {}, {}
for n, item in ipairs(cjson.decode(ARGV[2])) do
  outcomes[n] = asked[item.id] and 'duplicate' or store(item)
  asked[item.id] = true
  if outcomes[n] == 'duplicate' then count('duplicates', item.channel) end
end
return { outcomes, redis.call('LLEN', ARGV[3]) == 0 and 1 or 0, redis.call('INCR', KEY_SEQUENCE) }
