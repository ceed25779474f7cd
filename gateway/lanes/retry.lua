-- An agent pressed Retry below a reply that we gave up on: Chatwoot shows it as sent by now. A reply
-- that it was never told to be failed cannot have been pressed.
-- KEYS[1] namespace
-- ARGV[1] message id, ARGV[2] nonce of this request; repeated with it, the answer is the same
-- Returns 'ok' | 'unknown'

local msg = key_msg(ARGV[1])
local known = redis.call('HMGET', msg, 'shown', 'replayed')
if known[1] ~= 'failed' and known[2] ~= ARGV[2] then return 'unknown' end
local answer = revive(ARGV[1], ARGV[2])
if answer == 'ok' then
  redis.call('HSET', msg, 'shown', 'sent')
  redis.call('HDEL', msg, 'status')
end
return answer
