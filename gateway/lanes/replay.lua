-- Take a dead letter back into its lane, as new: behind what waits (a reply keeps its own place).
-- KEYS[1] namespace
-- ARGV[1] message id
-- Returns 'ok' | 'unknown'

local id = ARGV[1]
local msg = key_msg(id)
local known = redis.call('HMGET', msg, 'state', 'dead', 'lane', 'destination', 'kind', 'order',
                         'channel')
if known[1] ~= 'dead' then return 'unknown' end
local lane = key_lane(known[3])
local order = tonumber(known[6])
if known[5] ~= 'out' then
  order = (tonumber(redis.call('ZRANGE', lane, -1, -1, 'WITHSCORES')[2]) or 0) + 1
end
redis.call('XDEL', ns .. ':dead', known[2])
redis.call('HDEL', msg, 'dead', 'attempts', 'crashes', 'refusals', 'refused_at', 'error',
           'first_error', 'slot')
redis.call('HSET', msg, 'state', 'waiting', 'appended', now, 'ready', now, 'order', order,
           'replayed', '1')
redis.call('ZADD', lane, order, id)
if not redis.call('ZSCORE', key_due(known[4]), known[3]) then schedule(known[3], known[4], now) end
count('replayed', known[7])
return 'ok'
