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
local ANSWER = 60             -- seconds that a lane keeps its last answer, for a repetition
local BRAKED = 10000          -- ms between two messages of a customer who floods us
local QUIET = 60000           -- ms of silence that end such a flood
local MARKED_FAILED = 'marked failed'  -- shown: Chatwoot marked a reply, and we never said so
local BEFORE_QUARANTINE = 2   -- deaths of workers before a message is delivered alone: retry_policy.py
local RANK = { failed = 1, sent = 1, delivered = 2, read = 3 }

local function key_msg(id) return ns .. ':msg:' .. id end
local function key_lane(lane) return ns .. ':lane:' .. lane end
local function key_lease(lane) return ns .. ':lease:' .. lane end
local function key_due(destination) return ns .. ':due:' .. destination end
local function key_gate(destination) return ns .. ':gate:' .. destination end
local function key_route(lane) return ns .. ':route:' .. lane end
local function key_answer(lane) return ns .. ':answer:' .. lane end

local function count(what, channel, n)
  redis.call('HINCRBY', ns .. ':count', what .. '|' .. channel, n or 1)
end

local function read_hash(key)
  return redis.call('HGETALL', key)
end

-- The place behind all that waits in a lane.
local function order_at_end(lane)
  return (tonumber(redis.call('ZRANGE', key_lane(lane), -1, -1, 'WITHSCORES')[2]) or 0) + 1
end

local function is_held_by(lane, token)
  return redis.call('GET', key_lease(lane)) == token
end

-- The name of the worker that has a lane: its lease's token begins with it.
local function worker_of(lane)
  return string.match(redis.call('GET', key_lease(lane)) or '', '^([^.]*)%.') or ''
end

-- A request whose answer was lost comes again under the same nonce. The lane keeps the answer to its
-- last request: what was done for it must not be done twice, not even if the lane's head is another
-- message by now.
local function keep_answer(lane, nonce, answer)
  redis.call('SET', key_answer(lane), nonce .. ' ' .. answer, 'EX', ANSWER)
  return answer
end

local function kept_answer(lane, nonce)
  local kept = redis.call('GET', key_answer(lane))
  local named = nonce .. ' '
  if kept and string.sub(kept, 1, #named) == named then return string.sub(kept, #named + 1) end
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

-- Make a lane due, unless it has a time: it is leased, backing off, or due before.
local function make_due(lane, destination, at)
  if not redis.call('ZSCORE', key_due(destination), lane) then schedule(lane, destination, at) end
end

-- A probe that ended without a word about its destination: another lane may be the probe at once.
local function pass_probe_on(lane, destination)
  local gate = redis.call('HMGET', key_gate(destination), 'state', 'probe')
  if gate[1] == 'probing' and gate[2] == lane then
    redis.call('HSET', key_gate(destination), 'until', now)
  end
end

-- Give the lane back: due when its head may leave, or not at all if nothing waits.
local function give_back(lane, destination, not_before)
  redis.call('DEL', key_lease(lane))
  pass_probe_on(lane, destination)
  local head = redis.call('ZRANGE', key_lane(lane), 0, 0)[1]
  if not head then
    redis.call('ZREM', key_due(destination), lane)
    return
  end
  local ready = tonumber(redis.call('HGET', key_msg(head), 'ready')) or now
  schedule(lane, destination, math.max(ready, not_before or now))
end

-- Reserve the next free slot of one rate for so many calls (GCRA). Returns the time of the slot.
local function reserve(key, interval, burst, calls)
  local tat = tonumber(redis.call('HGET', key, 'tat')) or 0
  local start = math.max(tat, now)
  redis.call('HSET', key, 'tat', start + calls * interval)
  return start - (burst - calls) * interval
end

-- A customer's first message has a contact and a conversation looked for and made as well.
local FIRST_CALLS = 4
local function calls_for(lane)
  local known = string.sub(lane, 1, 3) ~= 'in/'
                or redis.call('HEXISTS', key_route(lane), 'conversation') == 1
  return known and 1 or FIRST_CALLS
end

-- The brake of the customer whose lane this is, while it is on: what comes then is passed on slowly.
local function brake_key_of(lane)
  if string.sub(lane, 1, 3) ~= 'in/' then return nil end
  local brake = redis.call('HGET', key_route(lane), 'brake')
  return brake and redis.call('EXISTS', brake) == 1 and brake or nil
end

-- When may a call of this lane go? rates = {interval, burst, lane_interval, lane_burst} in ms;
-- an interval of 0 is no limit.
local function reserve_slot(lane, destination, rates)
  local gate, at = key_gate(destination), now
  local paused = tonumber(redis.call('HGET', gate, 'paused')) or 0
  if paused > now then at = paused end
  if rates[1] > 0 then
    local empty = paused + (rates[2] - 1) * rates[1]  -- after a pause the bucket has no burst left
    if paused > now and empty > (tonumber(redis.call('HGET', gate, 'tat')) or 0) then
      redis.call('HSET', gate, 'tat', empty)
    end
    at = math.max(at, reserve(gate, rates[1], rates[2], calls_for(lane)))
  end
  if rates[3] > 0 then
    local key = ns .. ':pace:' .. lane
    at = math.max(at, reserve(key, rates[3], rates[4], 1))
    redis.call('PEXPIRE', key, math.ceil(rates[3] * (rates[4] + 1)) + 60000)
  end
  local brake = brake_key_of(lane)
  if brake then at = math.max(at, reserve(brake, BRAKED, 1, 1)) end
  return at
end

local MISSED = 500  -- ms that a call may come later than its slot
-- Wait for a reserved slot: true if the message must wait and the lane was given back.
local function wait_for_slot(lane, destination, id, rates)
  local msg = key_msg(id)
  local reserved = tonumber(redis.call('HGET', msg, 'slot'))
  local gate = redis.call('HMGET', key_gate(destination), 'paused', 'state', 'probe')
  local paused = tonumber(gate[1]) or 0
  -- The probe of a closed gate has been waited for long enough; nothing else is called meanwhile.
  if gate[2] == 'probing' and gate[3] == lane and paused <= now then
    redis.call('HDEL', msg, 'slot')
    return false
  end
  -- Overtaken by a pause; or missed, behind a closed gate perhaps: all that were missed together
  -- would now go at once.
  if reserved and reserved < math.max(paused > now and paused or 0, now - MISSED) then
    reserved = nil
  end
  local at = reserved or reserve_slot(lane, destination, rates)
  if at <= now then
    if reserved then redis.call('HDEL', msg, 'slot') end
    return false
  end
  redis.call('HSET', msg, 'slot', at, 'state', 'waiting')
  give_back(lane, destination, at)
  return true
end

local function give_back_and_rest(lane, destination, nonce)
  give_back(lane, destination)
  return { keep_answer(lane, nonce, 'rest') }
end

local function hand_out(lane, destination, id)
  local msg = key_msg(id)
  local subject = redis.call('HGET', msg, 'subject')
  return { 'next', id, read_hash(msg), subject and read_hash(key_msg(subject)) or {},
           read_hash(key_route(lane)), now,
           redis.call('HGET', key_gate(destination), 'served_at') or '0' }
end

-- An attempt may have arrived. `uncertain` lasts until that is known; `was_uncertain` stays in the
-- ledger: if the customer or Chatwoot has the message twice, this is why.
local function mark_uncertain(msg, channel)
  redis.call('HSET', msg, 'was_uncertain', 1)
  if redis.call('HSETNX', msg, 'uncertain', 1) == 1 then count('uncertain', channel) end
end

-- Whoever took this message never said how that ended: it may have arrived. And it may have killed
-- its worker, unless that one lives: then it was Redis that did not hear.
local function count_crash(msg)
  local worker = redis.call('HGET', msg, 'worker')
  local lives = worker and redis.call('EXISTS', ns .. ':alive:' .. worker) == 1
  if not lives then redis.call('HINCRBY', msg, 'crashes', 1) end
  mark_uncertain(msg, redis.call('HGET', msg, 'channel'))
end

-- Where a message will go if nothing changes, noted as it is handed out: in the steady state one
-- call to Redis is enough.
local function announce_usual_target(lane, msg)
  redis.call('HSET', msg, 'announced_at', now)
  local known = redis.call('HMGET', key_route(lane), 'conversation', 'newest')
  if known[1] then
    redis.call('HSET', msg, 'target', 'message:' .. known[1] .. ':' .. (known[2] or '0'))
  end
end

-- Nothing is known of an attempt that the server has lost (see server_changed.lua), but that it was
-- over, or had no right to go on, at that time.
local function mark_uncertain_by_failover(lane, msg, at)
  if redis.call('HEXISTS', msg, 'uncertain') == 0 then
    count('uncertain', redis.call('HGET', msg, 'channel'))
    announce_usual_target(lane, msg)
  end
  redis.call('HSET', msg, 'uncertain', 'failover', 'was_uncertain', 1, 'failover', at,
             'announced_at', at)
end

-- Could this message have left in the moments that the server has lost? Whatever was ready then,
-- but for replies behind a closed gate: nothing was sent there.
local MAY_DOUBLE = { ['in'] = true, out = true, note = true }
local function check_failover(lane, destination, msg, ready)
  local at = tonumber(redis.call('GET', ns .. ':forgot'))
  if not at or ready >= at then return end
  local known = redis.call('HMGET', msg, 'kind', 'failover')
  if not MAY_DOUBLE[known[1]] or tonumber(known[2]) == at then return end
  local shut = redis.call('SISMEMBER', ns .. ':shut', destination) == 1
  if not (shut and known[1] == 'out') then mark_uncertain_by_failover(lane, msg, at) end
end

-- Mark the lane's head as being sent and hand it out. `nonce` names the request.
local function take(lane, destination, nonce, rates)
  local head = redis.call('ZRANGE', key_lane(lane), 0, 0)[1]
  if not head then return give_back_and_rest(lane, destination, nonce) end
  local msg = key_msg(head)
  local known = redis.call('HMGET', msg, 'ready', 'state')
  local ready = tonumber(known[1]) or 0
  if ready > now then return give_back_and_rest(lane, destination, nonce) end
  if known[2] == 'sending' then count_crash(msg) end
  check_failover(lane, destination, msg, ready)
  if wait_for_slot(lane, destination, head, rates) then
    return { keep_answer(lane, nonce, 'rest') }
  end
  if redis.call('HEXISTS', msg, 'uncertain') == 0 then announce_usual_target(lane, msg) end
  -- In quarantine it is not at work before it has its worker to itself: see isolate.lua.
  local crashes = tonumber(redis.call('HGET', msg, 'crashes')) or 0
  local state = crashes < BEFORE_QUARANTINE and 'sending' or 'waiting'
  redis.call('HSET', msg, 'state', state, 'worker', worker_of(lane))
  redis.call('HINCRBY', msg, 'attempts', 1)
  keep_answer(lane, nonce, 'next ' .. head)
  return hand_out(lane, destination, head)
end

-- The answer to a request for work that was answered before; nil if it is new; void if the lane
-- was handed on since.
local function repeated_answer(lane, destination, token, nonce)
  local kept = kept_answer(lane, nonce)
  if kept == 'rest' then return { 'rest' } end
  if not is_held_by(lane, token) then return { 'void' } end
  if kept then return hand_out(lane, destination, string.sub(kept, #'next ' + 1)) end
end

local function open_gate(destination)
  local gate = key_gate(destination)
  local state = redis.call('HMGET', gate, 'state', 'failures')
  if state[1] or state[2] then
    redis.call('HDEL', gate, 'state', 'reason', 'until', 'failures', 'closings', 'since', 'probe')
    wake()
  end
end

-- Put what became of a reply into the status lane, unless Chatwoot shows it already.
local function queue_status(id)
  local known = redis.call('HMGET', key_msg(id), 'status', 'shown', 'status_lane',
                           'status_destination', 'channel')
  if not known[1] or not known[3] or (known[2] or 'sent') == known[1] then return end
  local lane, item = known[3], 's:' .. id
  if redis.call('ZSCORE', key_lane(lane), item) then return end  -- it will carry the newest status
  local given_up = redis.call('HGET', key_msg(item), 'dead_letter')
  if given_up then redis.call('XDEL', ns .. ':dead', given_up) end
  redis.call('DEL', key_msg(item))
  redis.call('HSET', key_msg(item), 'v', '1', 'kind', 'status', 'subject', id, 'lane', lane,
             'channel', known[5], 'state', 'waiting', 'appended', now, 'ready', now,
             'destination', known[4])
  redis.call('ZADD', key_lane(lane), order_at_end(lane), item)
  make_due(lane, known[4], now)
end

-- Note what became of a reply and, if Chatwoot shows something else, put it into the status lane.
-- sent < delivered < read; failed, unless it was delivered after all. `again` is set when we have
-- just delivered it ourselves: then «sent» also replaces an earlier «failed».
local function set_status(id, status, reason, again)
  local msg = key_msg(id)
  local now_known = redis.call('HMGET', msg, 'status', 'status_lane', 'channel')
  local current = now_known[1]
  if not now_known[2] or current == status then return end
  if status == 'failed' then
    if current and RANK[current] > 1 then return end
  elseif current == 'failed' then
    if RANK[status] == 1 and not again then return end
  elseif current and RANK[status] <= RANK[current] then
    return
  end
  redis.call('HSET', msg, 'status', status, 'reason', reason or '')
  count('status_' .. status, now_known[3])
  queue_status(id)
end

-- The status of a reply, from those of its parts: failed if one failed, else what all have reached.
-- Nothing is told before the number of parts is known.
local function set_status_from_parts(id)
  local msg = key_msg(id)
  local total = tonumber(redis.call('HGET', msg, 'parts'))
  local lowest, heard = 'read', false
  for n = 1, total or 0 do
    local got = redis.call('HGET', msg, 'receipt:' .. n)
    if got == 'failed' then return set_status(id, 'failed', redis.call('HGET', msg, 'failure')) end
    heard = heard or got
    if RANK[got or 'sent'] < RANK[lowest] then lowest = got or 'sent' end
  end
  if heard then set_status(id, lowest, '') end
end

-- Note what the network says of one part; an older word never replaces a newer one.
local function set_part_status(id, part, status, reason)
  local msg = key_msg(id)
  local before = redis.call('HGET', msg, 'receipt:' .. part)
  local outranked = before and status ~= 'failed' and RANK[before] >= RANK[status]
  local late_failure = status == 'failed' and before and RANK[before] > 1
  if outranked or late_failure then return end
  redis.call('HSET', msg, 'receipt:' .. part, status)
  if status == 'failed' then redis.call('HSET', msg, 'failure', reason) end
  set_status_from_parts(id)
end

-- Put a private note into the status lane of a conversation, once. `nonce` names the request.
local function add_note(note, nonce)
  local key, order = key_msg(note.id), order_at_end(note.lane)
  if redis.call('EXISTS', key) == 1 then return end
  redis.call('HSET', key, 'v', '1', 'kind', 'note', 'body', note.body, 'lane', note.lane,
             'destination', note.destination, 'channel', note.channel, 'state', 'waiting',
             'appended', now, 'ready', now, 'request', nonce, 'order', order)
  redis.call('ZADD', key_lane(note.lane), order, note.id)
  make_due(note.lane, note.destination, now)
end

-- A message leaves its lane for good. A reply that leaves behind a younger one is counted as late.
local function leave_lane(id, lane, kind, order, channel)
  redis.call('ZREM', key_lane(lane), id)
  if kind ~= 'out' then return end
  local route = key_route(lane)
  local last = tonumber(redis.call('HGET', route, 'last_order')) or 0
  if order < last then count('late', channel) end
  if order > last then
    redis.call('HSET', route, 'last_order', order)
    redis.call('EXPIRE', route, LEDGER)
  end
end

-- Parts that the network failed after it had taken them are to be sent again. What it still says of
-- the earlier attempt, under its old ids, does not count any more.
local function forget_failed_parts(id, channel)
  local msg = key_msg(id)
  local known = read_hash(msg)
  for n = 1, #known, 2 do
    local part = string.match(known[n], '^receipt:(%d+)$')
    if part and known[n + 1] == 'failed' then
      for _, external in ipairs(cjson.decode(redis.call('HGET', msg, 'part:' .. part) or '[]')) do
        redis.call('SET', ns .. ':ext:' .. channel .. ':' .. external, 'spent', 'EX', LEDGER)
      end
      redis.call('HDEL', msg, 'receipt:' .. part, 'part:' .. part)
    end
  end
  redis.call('HDEL', msg, 'failure')
end

-- Put a message that had left its lane back into it, as new: behind what waits (a reply keeps its
-- own place).
local function put_back(id, nonce)
  local msg = key_msg(id)
  local known = redis.call('HMGET', msg, 'dead_letter', 'lane', 'destination', 'kind', 'order', 'channel')
  local order = tonumber(known[5])
  if known[4] ~= 'out' then order = order_at_end(known[2]) end
  if known[1] then redis.call('XDEL', ns .. ':dead', known[1]) end
  forget_failed_parts(id, known[6])
  redis.call('HDEL', msg, 'dead_letter', 'attempts', 'crashes', 'refusals', 'refused_at', 'error',
             'first_error', 'slot')
  redis.call('HSET', msg, 'state', 'waiting', 'appended', now, 'ready', now, 'order', order,
             'replayed', nonce)
  redis.call('PERSIST', msg)
  redis.call('ZADD', key_lane(known[2]), order, id)
  make_due(known[2], known[3], now)
  count('replayed', known[6])
end
