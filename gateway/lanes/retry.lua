-- An agent pressed Retry below a reply that failed, and Chatwoot, asked since, shows it as sent. One
-- that it was never told to be failed cannot have been pressed. Parts that arrived are not repeated.
-- ARGV[1] message id, ARGV[2] nonce of this request; repeated with it, the answer is the same
-- ARGV[3] body of the reply, anew: what was sent keeps none, and whom it is for may have changed
-- Returns 'ok' | 'unknown'

local msg = key_message(ARGV[1])
local known = redis.call('HMGET', msg, 'state', 'status', 'shown', 'withdrawn', 'replayed')
if known[5] == ARGV[2] then return 'ok' end
local out_of_lane = known[1] == 'dead' or known[1] == 'done'
if not out_of_lane or known[2] ~= 'failed' or known[3] ~= 'failed' or known[4] then
  return 'unknown'
end
redis.call('HSET', msg, 'v', '1', 'body', ARGV[3])
put_back(ARGV[1], ARGV[2])
redis.call('HSET', msg, 'shown', 'sent')
redis.call('HDEL', msg, 'status')
return 'ok'
