-- A look at Chatwoot is done that was wanted after a return: replies wait no longer. If a web process
-- has returned since, another look must follow it.
-- ARGV[1] channel, ARGV[2] destination of its replies, ARGV[3] token of the return
-- Returns 1 if no other look is wanted, else 0

local wanted = key_look_wanted(ARGV[1])
if redis.call('GET', wanted) ~= ARGV[3] then return 0 end
redis.call('DEL', wanted, key_hold(ARGV[2]))
wake()
return 1
