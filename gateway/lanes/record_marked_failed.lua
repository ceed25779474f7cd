-- Chatwoot shows a reply as failed. If we never said so, it marked the reply by itself, because a
-- webhook was answered late or by nobody: what became of the reply is told once more.
-- ARGV[1] id of the reply
-- Returns 'noted' | 'ours' (we said so) | 'unknown'

local msg = key_message(ARGV[1])
local known = redis.call('HMGET', msg, 'state', 'status')
if not known[1] then return 'unknown' end
if known[2] == 'failed' then return 'ours' end
redis.call('HSET', msg, 'shown', MARKED_FAILED)
-- While a status is being told it is not known which of the two came last.
if redis.call('HGET', key_message('s:' .. ARGV[1]), 'state') == 'sending' then
  redis.call('HSET', msg, 'marked_failed', 1)
end
if known[2] then queue_status(ARGV[1]) end
return 'noted'
