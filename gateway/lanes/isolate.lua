-- A message in quarantine has its worker to itself from now on: if that dies, the message did it.
-- ARGV[1] lane, ARGV[2] token, ARGV[3] message id
-- Returns 'ok' | 'void'

if not is_held_by(ARGV[1], ARGV[2]) then return 'void' end
redis.call('HSET', key_message(ARGV[3]), 'state', 'sending')
return 'ok'
