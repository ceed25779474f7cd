-- Take or keep a named lock, for what only one process may do at a time.
-- ARGV[1] key of the lock, ARGV[2] token of the one who asks, ARGV[3] how long, in ms
-- Returns 1 if it is theirs now, else 0

local key = ARGV[1]
local owner = redis.call('GET', key)
if owner and owner ~= ARGV[2] and not is_left_over(key, tonumber(ARGV[3])) then return 0 end
redis.call('SET', key, ARGV[2], 'PX', ARGV[3])
return 1
