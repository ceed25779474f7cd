-- A suspect has its worker for itself now: from here on a death of the worker is its doing.
-- KEYS[1] namespace
-- ARGV[1] lane, ARGV[2] token, ARGV[3] message id
-- Returns 'ok' | 'void'

if not holds(ARGV[1], ARGV[2]) then return 'void' end
redis.call('HSET', key_msg(ARGV[3]), 'state', 'sending')
return 'ok'
