-- An agent deleted a reply: what waits is removed, what was sent gets a delete operation behind
-- it, and what is not known yet must not be sent when it comes.
-- ARGV[1] id of the reply, ARGV[2] nonce
-- ARGV[3] JSON of the delete operation: {id, lane, destination, channel, body, order}
-- ARGV[4] seconds that a tombstone stands
-- Returns 'removed' | 'delete' | 'tombstone' | 'duplicate'

local id, op = ARGV[1], cjson.decode(ARGV[3])
local msg = key_message(id)
local state = redis.call('HGET', msg, 'state')
local asked = redis.call('HGET', key_message(op.id), 'request')
if asked then return asked == ARGV[2] and 'delete' or 'duplicate' end
if not state then
  redis.call('SET', key_tombstone(id), '1', 'EX', ARGV[4])
  return 'tombstone'
end
if state == 'withdrawn' then return 'removed' end
local some_sent = redis.call('HEXISTS', msg, 'part:1') == 1
local untouched = not some_sent and redis.call('HEXISTS', msg, 'uncertain') == 0
if untouched and state == 'dead' then
  redis.call('HSET', msg, 'withdrawn', '1')  -- and a replay does not send it either
  return 'removed'
end
if untouched and state == 'waiting' then
  redis.call('ZREM', key_lane(redis.call('HGET', msg, 'lane')), id)
  redis.call('HSET', msg, 'state', 'withdrawn')
  redis.call('HDEL', msg, 'body')
  redis.call('EXPIRE', msg, LEDGER)
  count('withdrawn', op.channel)
  return 'removed'
end
redis.call('HSET', msg, 'withdrawn', '1')  -- parts that have not gone yet stay here
local order = op.order == cjson.null and order_at_end(op.lane) or op.order
redis.call('HSET', key_message(op.id), 'v', '1', 'kind', 'delete', 'body', op.body, 'lane', op.lane,
           'destination', op.destination, 'channel', op.channel, 'state', 'waiting', 'subject', id,
           'appended', now, 'ready', now, 'request', ARGV[2], 'order', order)
redis.call('ZADD', key_lane(op.lane), order, op.id)
make_due(op.lane, op.destination, now)
return 'delete'
