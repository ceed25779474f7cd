-- Forget a dead letter; its id stays known, so that it is not taken for a new message.
-- ARGV[1] message id, ARGV[2] nonce of this request; repeated with it, the answer is the same
-- Returns 'ok' | 'unknown'

local msg = key_message(ARGV[1])
local known = redis.call('HMGET', msg, 'state', 'dead_letter', 'dropped')
if known[3] == ARGV[2] then return 'ok' end
if known[1] ~= 'dead' then return 'unknown' end
redis.call('XDEL', KEY_DEAD_LETTERS, known[2])
redis.call('HSET', msg, 'state', 'dropped', 'dropped', ARGV[2])
redis.call('HDEL', msg, 'body', 'dead_letter', 'error', 'first_error')
redis.call('EXPIRE', msg, LEDGER)
return 'ok'
