-- Is there anything that a drain could do now, and is nobody asked yet?
-- ARGV[1] key of RQ's queue list
-- Returns 1 to ring, else 0

if redis.call('LLEN', ARGV[1]) > 0 then return 0 end
for _, destination in ipairs(redis.call('SMEMBERS', KEY_DESTINATIONS)) do
  local first = redis.call('ZRANGE', key_due(destination), 0, 0, 'WITHSCORES')[2]
  if first and tonumber(first) <= now and not held_until(destination) then
    local gate = redis.call('HMGET', key_gate(destination), 'state', 'until')
    if not gate[1] or tonumber(gate[2]) <= now then return 1 end
  end
end
return 0
