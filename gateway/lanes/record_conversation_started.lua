-- A conversation with a customer began, by our hand or another's: if an older one is remembered, the
-- customer's next message must look for the right one again.
-- ARGV[1] lane of the customer's messages, ARGV[2] the conversation
-- Returns 1 if an older one was remembered, else 0

local lane, number = ARGV[1], tonumber(ARGV[2])
local route = key_route(lane)
-- Who has neither a memory nor a message on its way looks in any case.
if redis.call('EXISTS', route, key_lane(lane)) == 0 then return 0 end
local known = redis.call('HMGET', route, 'conversation', 'newer')
if (tonumber(known[2]) or 0) >= number then return 0 end
redis.call('HSET', route, 'newer', number)  -- for a message that is on its way to an older one
redis.call('EXPIRE', route, LEDGER)
if not known[1] or tonumber(known[1]) >= number then return 0 end
redis.call('HDEL', route, 'conversation')
return 1
