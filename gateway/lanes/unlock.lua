-- Give a named lock back, if it is still the one's who asks.
-- ARGV[1] key of the lock, ARGV[2] token
-- Returns 1 if it was theirs, else 0

local key = ARGV[1]
if redis.call('GET', key) ~= ARGV[2] then return 0 end
redis.call('DEL', key)
return 1
