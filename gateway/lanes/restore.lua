-- Chatwoot shows a message as failed that nobody is to send, a customer's or a note, because its own
-- call to us failed: it is told that the message is «sent».
-- ARGV[1] id of the message, made as that of a reply
-- ARGV[2] JSON {channel, lane, destination}: the status lane in which that is told
-- Returns 'ok'

local msg, told = key_message(ARGV[1]), cjson.decode(ARGV[2])
redis.call('HSET', msg, 'v', '1', 'kind', 'restored', 'state', 'done', 'status', 'sent',
           'channel', told.channel, 'status_lane', told.lane,
           'status_destination', told.destination)
redis.call('EXPIRE', msg, DAY)
mark_failed(ARGV[1])
return 'ok'
