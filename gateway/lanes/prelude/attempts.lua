-- Attempts: handing out the head of a lane, and attempts that nobody saw the end of.
--
-- Results of scripts that hand out work: {'next', id, its fields, its subject's, its lane's route,
-- now, when the destination last took a message}; {'rest'} (nothing to do now, the lane was given back);
-- {'void'} (the lane belongs to somebody else: stop).

local BEFORE_QUARANTINE = 2  -- deaths of workers before a message is delivered alone: retry_policy.py

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
  local lives = worker and redis.call('EXISTS', key_alive(worker)) == 1
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
  local at = tonumber(redis.call('GET', KEY_FAILOVER))
  if not at or ready >= at then return end
  local known = redis.call('HMGET', msg, 'kind', 'failover')
  if not MAY_DOUBLE[known[1]] or tonumber(known[2]) == at then return end
  local shut = redis.call('SISMEMBER', KEY_FAILOVER_CLOSED, destination) == 1
  if not (shut and known[1] == 'out') then mark_uncertain_by_failover(lane, msg, at) end
end

local function hand_out(lane, destination, id)
  local msg = key_message(id)
  local subject = redis.call('HGET', msg, 'subject')
  return { 'next', id, read_hash(msg), subject and read_hash(key_message(subject)) or {},
           read_hash(key_route(lane)), now,
           redis.call('HGET', key_gate(destination), 'served_at') or '0' }
end

-- Mark the lane's head as being sent and hand it out. `nonce` names the request.
local function take(lane, destination, nonce, rates)
  local head = redis.call('ZRANGE', key_lane(lane), 0, 0)[1]
  if not head then return give_back_and_rest(lane, destination, nonce) end
  local msg = key_message(head)
  local known = redis.call('HMGET', msg, 'ready', 'state')
  local ready = tonumber(known[1]) or 0
  if ready > now or held_until(destination) then
    return give_back_and_rest(lane, destination, nonce)
  end
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
