-- Leave a private note in a conversation, once. Allowed in a full Redis: it tells how a delivery
-- ended, and whatever is delivered must be able to end.
-- ARGV[1] JSON {id, lane, destination, channel, body}, ARGV[2] nonce of this request
-- Returns 'ok'

add_note(cjson.decode(ARGV[1]), ARGV[2])
return 'ok'
