-- Not now: give the lane back until later, with what went wrong.
-- ARGV[1] lane, ARGV[2] destination, ARGV[3] token, ARGV[4] message id, ARGV[5] nonce
-- ARGV[6] ms to wait, ARGV[7] what went wrong ('' if nothing did)
-- ARGV[8] 'uncertain' if the message may have arrived, '' if this says nothing of it
-- ARGV[9] what it says of the destination: '' nothing, 'refused' (a server error on this message),
--         'failing' (the same, and perhaps on all), 'down', 'credentials', 'throttled' (all of it must
--         wait), or 'throttled_lane' (this lane must, and perhaps all)
-- ARGV[10] failures in a row that close a gate, ARGV[11] first and ARGV[12] longest wait of a gate
-- ARGV[13] ms to wait if the trouble leaves the gate closed
-- Returns 'ok' | 'void'

local lane, destination, id, nonce, wait = ARGV[1], ARGV[2], ARGV[4], ARGV[5], tonumber(ARGV[6])
local msg, gate = key_message(id), key_gate(destination)
if kept_answer(lane, nonce) then return 'ok' end
if not is_held_by(lane, ARGV[3]) then return 'void' end
local channel = redis.call('HGET', msg, 'channel')
redis.call('HSET', msg, 'state', 'waiting')
if ARGV[7] ~= '' then
  redis.call('HSET', msg, 'error', ARGV[7])
  redis.call('HSETNX', msg, 'first_error', ARGV[7])
  -- The attempt came to an end, and the worker lives: it is not this message that kills it.
  redis.call('HDEL', msg, 'crashes')
  count('retries', channel)
end
if ARGV[8] == 'uncertain' then mark_uncertain(msg, channel) end

-- Calls that were under way when the gate closed, or when the probe went out, say nothing new.
local function is_old_news()
  local known = redis.call('HMGET', gate, 'state', 'until', 'probe')
  if not known[1] or tonumber(known[2]) <= now then return false end
  return known[1] == 'closed' or known[3] ~= lane
end

local trouble = ARGV[9]

local function close_gate()
  if is_old_news() then return end
  local steps = redis.call('HINCRBY', gate, 'closings', 1)
  local pause = math.min(tonumber(ARGV[11]) * 2 ^ (steps - 1), tonumber(ARGV[12]))
  redis.call('HSET', gate, 'state', 'closed', 'reason', ARGV[7], 'until', now + pause,
             'cause', trouble)
  redis.call('HSETNX', gate, 'since', now)
end

-- So many lanes have said the same within so many ms, this one among them.
local function lanes_within(key, ms)
  redis.call('SADD', key, lane)
  local lanes = redis.call('SCARD', key)
  if lanes == 1 then redis.call('PEXPIRE', key, ms) end
  return lanes
end

-- A server error on one lane is about its message. On several, with no success between, it is about
-- the server; so is one on the probe of a gate that they have closed.
local FAILING, FAILING_WITHIN = 3, 60000
local function is_failing()
  if trouble ~= 'failing' then return false end
  local closed = redis.call('HMGET', gate, 'state', 'cause')
  local lanes = lanes_within(key_failing(destination), FAILING_WITHIN)
  return lanes >= FAILING or (closed[1] and closed[2] == 'failing')
end

-- Those that failed before the gate closed have backed off by themselves, some of them for long.
local function bring_failed_forward()
  for _, failed in ipairs(redis.call('SMEMBERS', key_failing(destination))) do
    if redis.call('EXISTS', key_lease(failed)) == 0 then
      redis.call('ZADD', key_due(destination), 'XX', 'LT', now + tonumber(ARGV[13]), failed)
    end
  end
end

local function pause()
  local paused = tonumber(redis.call('HGET', gate, 'paused')) or 0
  redis.call('HSET', gate, 'paused', math.max(paused, now + wait))
  wait = wait + spread(wait)
end

local TOO_FAST, TOO_FAST_WITHIN = 3, 1000

if trouble == 'refused' or trouble == 'failing' then
  redis.call('HINCRBY', msg, 'refusals', 1)
  redis.call('HSETNX', msg, 'refused_at', now)
  if is_failing() then
    close_gate()
    bring_failed_forward()
  else
    open_gate(destination)  -- it answered, whatever it said
  end
elseif trouble == 'throttled' then
  pause()
  open_gate(destination)
elseif trouble == 'throttled_lane' then
  if lanes_within(key_throttled(destination), TOO_FAST_WITHIN) >= TOO_FAST then pause() end
  open_gate(destination)
elseif trouble == 'credentials' then
  close_gate()
elseif trouble == 'down' then
  local failures = redis.call('HINCRBY', gate, 'failures', 1)
  if failures >= tonumber(ARGV[10]) or redis.call('HGET', gate, 'state') then close_gate() end
end
if trouble ~= '' and redis.call('HGET', gate, 'state') then
  wait = math.min(wait, tonumber(ARGV[13]))
end
give_back(lane, destination, now + wait)
return keep_answer(lane, nonce, 'ok')
