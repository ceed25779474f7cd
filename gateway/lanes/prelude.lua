-- Put before every script: the clock, the names of keys, and the rules that several scripts share.
-- KEYS[1] is always the namespace; all other keys are made from it. (One Redis, never a cluster.)
--
-- Results of scripts that hand out work: {'next', fields, subject}, {'rest'} (nothing to do now,
-- the lane was given back), {'void'} (the lane belongs to somebody else: stop).

local ns = KEYS[1]
local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)  -- milliseconds, Redis's own clock

local DAY = 86400
local LEDGER = 90 * DAY       -- seconds that a sent reply stays known
local SEEN = 7 * DAY          -- seconds that a customer's message is recognised as a repetition
local PARKED = DAY            -- seconds that a receipt waits for its message's id
local RANK = { sent = 1, delivered = 2, read = 3 }

local function key_msg(id) return ns .. ':msg:' .. id end
local function key_lane(lane) return ns .. ':lane:' .. lane end
local function key_lease(lane) return ns .. ':lease:' .. lane end
local function key_due(destination) return ns .. ':due:' .. destination end
local function key_gate(destination) return ns .. ':gate:' .. destination end
local function key_route(lane) return ns .. ':route:' .. lane end

local function count(what, channel, n)
  redis.call('HINCRBY', ns .. ':count', what .. '|' .. channel, n or 1)
end

local function fields(key)
  return redis.call('HGETALL', key)
end

local function holds(lane, token)
  return redis.call('GET', key_lease(lane)) == token
end

-- Let a drain that lingers know. The list is short: it says «look», not «look at this».
local function wake()
  if redis.call('LLEN', ns .. ':wake') < 8 then redis.call('RPUSH', ns .. ':wake', '1') end
end

local function schedule(lane, destination, at)
  redis.call('SADD', ns .. ':destinations', destination)
  redis.call('ZADD', key_due(destination), at, lane)
  if at <= now + 1000 then wake() end
end

-- Give the lane back: due when its head may leave, or not at all if nothing waits.
local function give_back(lane, destination, not_before)
  redis.call('DEL', key_lease(lane))
  local head = redis.call('ZRANGE', key_lane(lane), 0, 0)[1]
  if not head then
    redis.call('ZREM', key_due(destination), lane)
    return
  end
  local ready = tonumber(redis.call('HGET', key_msg(head), 'ready')) or now
  schedule(lane, destination, math.max(ready, not_before or now))
end

-- Reserve the next free slot of one rate (GCRA). Returns the time of the slot.
local function reserve(key, field, interval, burst)
  local tat = tonumber(redis.call('HGET', key, field)) or 0
  local start = math.max(tat, now)
  redis.call('HSET', key, field, start + interval)
  return start - (burst - 1) * interval
end

-- When may a call of this lane go? rates = {interval, burst, lane_interval, lane_burst} in ms;
-- an interval of 0 is no limit.
local function slot(lane, destination, rates)
  local at = now
  if rates[1] > 0 then
    at = math.max(at, reserve(key_gate(destination), 'tat', rates[1], rates[2]))
  end
  if rates[3] > 0 then
    local key = ns .. ':pace:' .. lane
    at = math.max(at, reserve(key, 'tat', rates[3], rates[4]))
    redis.call('PEXPIRE', key, math.ceil(rates[3] * (rates[4] + 1)) + 60000)
  end
  return at
end

-- Wait for a reserved slot: true if the message must wait and the lane was given back.
local function waits_for_slot(lane, destination, id, rates)
  local msg = key_msg(id)
  local reserved = tonumber(redis.call('HGET', msg, 'slot'))
  local at = reserved or slot(lane, destination, rates)
  if at <= now then
    if reserved then redis.call('HDEL', msg, 'slot') end
    return false
  end
  redis.call('HSET', msg, 'slot', at, 'state', 'waiting')
  give_back(lane, destination, at)
  return true
end

-- Mark the lane's head as being sent and hand it out. `nonce` names this very request: asked
-- again with it, the same message is handed out and nothing is counted twice.
local function take(lane, destination, nonce, rates)
  local head = redis.call('ZRANGE', key_lane(lane), 0, 0)[1]
  if not head then
    give_back(lane, destination)
    return { 'rest' }
  end
  local msg = key_msg(head)
  local known = redis.call('HMGET', msg, 'mark', 'ready', 'state', 'of', 'uncertain')
  if known[1] ~= nonce then
    if (tonumber(known[2]) or 0) > now then
      give_back(lane, destination)
      return { 'rest' }
    end
    local died = known[3] == 'sending'  -- whoever marked it never said how it ended
    if waits_for_slot(lane, destination, head, rates) then return { 'rest' } end
    redis.call('HSET', msg, 'state', 'sending', 'mark', nonce)
    if died then
      redis.call('HINCRBY', msg, 'crashes', 1)
      if redis.call('HSETNX', msg, 'uncertain', 1) == 1 then
        count('uncertain', redis.call('HGET', msg, 'channel'))
      end
    elseif not known[5] then
      redis.call('HSET', msg, 'marked', now)
    end
    redis.call('HINCRBY', msg, 'attempts', 1)
  end
  local subject = known[4] and fields(key_msg(known[4])) or {}
  return { 'next', head, fields(msg), subject, fields(key_route(lane)), now,
           redis.call('HGET', key_gate(destination), 'ok') or '0' }
end

local function gate_opens(destination)
  local gate = key_gate(destination)
  redis.call('HSET', gate, 'ok', now)
  local state = redis.call('HMGET', gate, 'state', 'failures')
  if state[1] or state[2] then
    redis.call('HDEL', gate, 'state', 'reason', 'until', 'failures', 'steps', 'since')
    wake()
  end
end

-- Note what became of a reply and, if Chatwoot shows something else, put it into the status lane.
-- sent < delivered < read; failed, unless it was delivered after all. `again` is set when we have
-- just delivered it ourselves: then «sent» also replaces an earlier «failed».
local function report(id, status, reason, again)
  local msg = key_msg(id)
  local now_known = redis.call('HMGET', msg, 'status', 'shown', 'status_lane', 'status_destination',
                               'channel')
  local current = now_known[1]
  if not now_known[3] or current == status then return end
  if status == 'failed' then
    if current and RANK[current] > 1 then return end
  elseif current == 'failed' then
    if RANK[status] == 1 and not again then return end
  elseif current and RANK[status] <= RANK[current] then
    return
  end
  redis.call('HSET', msg, 'status', status, 'reason', reason or '')
  count('status_' .. status, now_known[5])
  if (now_known[2] or 'sent') == status then return end
  local lane, item = now_known[3], 's:' .. id
  if redis.call('ZSCORE', key_lane(lane), item) then return end  -- it will carry the newest status
  local last = redis.call('ZRANGE', key_lane(lane), -1, -1, 'WITHSCORES')[2]
  redis.call('DEL', key_msg(item))
  redis.call('HSET', key_msg(item), 'v', '1', 'kind', 'status', 'of', id, 'lane', lane,
             'channel', now_known[5], 'state', 'waiting', 'appended', now, 'ready', now,
             'destination', now_known[4])
  redis.call('ZADD', key_lane(lane), (tonumber(last) or 0) + 1, item)
  if not redis.call('ZSCORE', key_due(now_known[4]), lane) then
    schedule(lane, now_known[4], now)
  end
end

-- The status of a message of several parts: failed if one failed, else what all have reached.
local function report_part(id, part, status, reason)
  local msg = key_msg(id)
  local before = redis.call('HGET', msg, 'got:' .. part)
  local outranked = before and before ~= 'failed' and status ~= 'failed'
                    and RANK[before] >= RANK[status]
  local late_failure = status == 'failed' and before and before ~= 'failed' and RANK[before] > 1
  if outranked or late_failure then return end
  redis.call('HSET', msg, 'got:' .. part, status)
  local total = tonumber(redis.call('HGET', msg, 'total')) or 1
  local lowest = 'read'
  for n = 1, total do
    local got = redis.call('HGET', msg, 'got:' .. n) or 'sent'
    if got == 'failed' then return report(id, 'failed', reason) end
    if RANK[got] < RANK[lowest] then lowest = got end
  end
  report(id, lowest, '')
end

-- A message leaves its lane for good. Of replies the youngest is remembered, to count late ones.
local function settle(id, lane, kind, order)
  redis.call('ZREM', key_lane(lane), id)
  local route = key_route(lane)
  if kind == 'out' and order > (tonumber(redis.call('HGET', route, 'last')) or 0) then
    redis.call('HSET', route, 'last', order)
    redis.call('EXPIRE', route, LEDGER)
  end
end
