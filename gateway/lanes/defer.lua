-- Not now: give the lane back until later, with what went wrong.
-- ARGV[1] lane, ARGV[2] destination, ARGV[3] token, ARGV[4] message id, ARGV[5] nonce
-- ARGV[6] ms to wait, ARGV[7] what went wrong ('' if nothing did)
-- ARGV[8] 'uncertain' if the message may have arrived, '' if this says nothing of it
-- ARGV[9] what it says of the destination: '' nothing, 'refused' (a server error on this message),
--         'down', 'credentials', or 'throttled' (all of it must wait)
-- ARGV[10] failures in a row that close a gate, ARGV[11] first and ARGV[12] longest wait of a gate
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

local function close_gate()
  if is_old_news() then return end
  local steps = redis.call('HINCRBY', gate, 'closings', 1)
  local pause = math.min(tonumber(ARGV[11]) * 2 ^ (steps - 1), tonumber(ARGV[12]))
  redis.call('HSET', gate, 'state', 'closed', 'reason', ARGV[7], 'until', now + pause)
  redis.call('HSETNX', gate, 'since', now)
end

local trouble = ARGV[9]
if trouble == 'refused' then
  redis.call('HINCRBY', msg, 'refusals', 1)
  redis.call('HSETNX', msg, 'refused_at', now)
elseif trouble == 'throttled' then
  local paused = tonumber(redis.call('HGET', gate, 'paused')) or 0
  redis.call('HSET', gate, 'paused', math.max(paused, now + wait))
elseif trouble == 'credentials' then
  close_gate()
elseif trouble == 'down' then
  local failures = redis.call('HINCRBY', gate, 'failures', 1)
  if failures >= tonumber(ARGV[10]) or redis.call('HGET', gate, 'state') then close_gate() end
end
if trouble == 'refused' or trouble == 'throttled' then
  open_gate(destination)  -- it answered, whatever it said
end
give_back(lane, destination, now + wait)
return keep_answer(lane, nonce, 'ok')
