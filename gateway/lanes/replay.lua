-- Take a dead letter back into its lane, as new: behind what waits (a reply keeps its own place).
-- KEYS[1] namespace
-- ARGV[1] message id, ARGV[2] nonce of this request; repeated with it, the answer is the same
-- Returns 'ok' | 'unknown'

local id = ARGV[1]
local msg = key_msg(id)
local known = redis.call('HMGET', msg, 'state', 'dead', 'lane', 'destination', 'kind', 'order',
                         'channel', 'replayed')
if known[8] == ARGV[2] then return 'ok' end
if known[1] ~= 'dead' then return 'unknown' end
local order = tonumber(known[6])
if known[5] ~= 'out' then
  order = behind(known[3])
end
redis.call('XDEL', ns .. ':dead', known[2])
redis.call('HDEL', msg, 'dead', 'attempts', 'crashes', 'refusals', 'refused_at', 'error',
           'first_error', 'slot')
redis.call('HSET', msg, 'state', 'waiting', 'appended', now, 'ready', now, 'order', order,
           'replayed', ARGV[2])
redis.call('ZADD', key_lane(known[3]), order, id)
make_due(known[3], known[4], now)
count('replayed', known[7])
return 'ok'
