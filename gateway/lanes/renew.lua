-- Keep leases alive.
-- KEYS[1] namespace
-- ARGV[1] lease in ms; then lane, destination, token of each
-- Returns the lanes that are still held

local lease, kept = tonumber(ARGV[1]), {}
for n = 2, #ARGV, 3 do
  local lane = ARGV[n]
  if holds(lane, ARGV[n + 2]) then
    redis.call('PEXPIRE', key_lease(lane), lease)
    redis.call('ZADD', key_due(ARGV[n + 1]), 'XX', now + lease, lane)
    kept[#kept + 1] = lane
  end
end
return kept
