-- Tell the agents, once, of a reply that has waited too long.
-- ARGV[1] lane, ARGV[2] message id, ARGV[3] nonce
-- ARGV[4] the note: JSON {id, lane, destination, channel, body}
-- ARGV[5] the note that follows when the reply is delivered, of the same shape
-- Returns 'told', also when it was done by this same request; 'known' if another was told before;
-- 'moved' if the reply does not wait any more: it is being sent, or has left.

local lane, id, nonce = ARGV[1], ARGV[2], ARGV[3]
local known = redis.call('HMGET', key_message(id), 'told_of_delay', 'state')
if known[1] then return known[1] == nonce and 'told' or 'known' end
if known[2] ~= 'waiting' or redis.call('EXISTS', key_lease(lane)) == 1 then return 'moved' end
redis.call('HSET', key_message(id), 'told_of_delay', nonce, 'note_after', ARGV[5])
add_note(cjson.decode(ARGV[4]), nonce)
return 'told'
