-- A person wants a dead letter delivered after all.
-- ARGV[1] message id, ARGV[2] nonce of this request; repeated with it, the answer is the same
-- Returns 'ok' | 'unknown'

local known = redis.call('HMGET', key_message(ARGV[1]), 'state', 'replayed')
if known[2] == ARGV[2] then return 'ok' end
if known[1] ~= 'dead' then return 'unknown' end
put_back(ARGV[1], ARGV[2])
return 'ok'
