-- Keep what cannot be read among the dead letters, once, so that a person can have it read again.
-- KEYS none
-- ARGV[1] message id, ARGV[2] lane in which it is read again, ARGV[3] destination, ARGV[4] channel
-- ARGV[5] kind: 'unread' or 'webhook', ARGV[6] body, ARGV[7] reason
-- ARGV[8] nonce of this request; repeated with it, the answer is the same
-- Returns 'new' | 'known'

local id, channel, kind, reason, nonce = ARGV[1], ARGV[4], ARGV[5], ARGV[7], ARGV[8]
local msg = key_message(id)
local before = redis.call('HGET', msg, 'request')
if before then return before == nonce and 'new' or 'known' end
local entry = redis.call('XADD', KEY_DEAD_LETTERS, '*', 'id', id, 'reason', reason,
                         'channel', channel, 'kind', kind)
redis.call('HSET', msg, 'v', '1', 'kind', kind, 'body', ARGV[6], 'lane', ARGV[2],
           'destination', ARGV[3], 'channel', channel, 'state', 'dead', 'appended', now,
           'ready', now, 'request', nonce, 'order', 0, 'error', reason, 'first_error', reason,
           'dead_letter', entry)
count('set_aside', channel)
return 'new'
