-- An agent deleted a reply: what waits is removed, what was sent gets a delete operation behind
-- it, and what is not known yet must not be sent when it comes.
-- KEYS[1] namespace
-- ARGV[1] id of the reply, ARGV[2] nonce
-- ARGV[3] JSON of the delete operation: {id, lane, destination, channel, body, order}
-- ARGV[4] seconds that a tombstone stands
-- Returns 'removed' | 'delete' | 'tombstone' | 'duplicate'

local id, op = ARGV[1], cjson.decode(ARGV[3])
local msg, lane = key_msg(id), key_lane(op.lane)
local state = redis.call('HGET', msg, 'state')
local asked = redis.call('HGET', key_msg(op.id), 'request')
if asked then return asked == ARGV[2] and 'delete' or 'duplicate' end
if not state then
  redis.call('SET', ns .. ':tomb:' .. id, '1', 'EX', ARGV[4])
  return 'tombstone'
end
if state == 'withdrawn' then return 'removed' end
if state == 'dead' then return 'duplicate' end
local some_sent = redis.call('HEXISTS', msg, 'part:1') == 1
local untouched = state == 'waiting' and not some_sent
                  and redis.call('HEXISTS', msg, 'uncertain') == 0
if untouched then
  redis.call('ZREM', lane, id)
  redis.call('HSET', msg, 'state', 'withdrawn')
  redis.call('HDEL', msg, 'body')
  redis.call('EXPIRE', msg, LEDGER)
  count('withdrawn', op.channel)
  return 'removed'
end
redis.call('HSET', msg, 'withdrawn', '1')  -- parts that have not gone yet stay here
redis.call('HSET', key_msg(op.id), 'v', '1', 'kind', 'delete', 'body', op.body, 'lane', op.lane,
           'destination', op.destination, 'channel', op.channel, 'state', 'waiting', 'of', id,
           'appended', now, 'ready', now, 'request', ARGV[2], 'order', op.order)
redis.call('ZADD', lane, op.order, op.id)
if not redis.call('ZSCORE', key_due(op.destination), op.lane) then
  schedule(op.lane, op.destination, now)
end
return 'delete'
