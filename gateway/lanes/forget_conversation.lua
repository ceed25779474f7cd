-- A conversation was resolved: the customer's next message must look for the right one again.
-- ARGV[1] lane of the customer's messages, ARGV[2] the conversation
-- Returns 1 if it was the remembered one, else 0

local route = key_route(ARGV[1])
if redis.call('HGET', route, 'conversation') ~= ARGV[2] then return 0 end
redis.call('HDEL', route, 'conversation')
return 1
