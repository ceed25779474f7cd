-- Chatwoot shows a reply as failed. If we never said so, it marked the reply by itself, because a
-- webhook was answered late or by nobody: what became of the reply is told once more.
-- ARGV[1] id of the reply
-- Returns 'noted' | 'ours' (we said so) | 'unknown'

local msg = key_message(ARGV[1])
local known = redis.call('HMGET', msg, 'state', 'status')
if not known[1] then return 'unknown' end
if known[2] == 'failed' then return 'ours' end
mark_failed(ARGV[1])
return 'noted'
