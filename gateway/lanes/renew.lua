-- Keep leases alive.
-- ARGV[1] lease in ms; then lane, destination, token of each
-- Returns which of them are still held, by number: of a lane that was lost and claimed again two are
-- told apart so

local lease, kept = tonumber(ARGV[1]), {}
for n = 2, #ARGV, 3 do
  local lane = ARGV[n]
  if is_held_by(lane, ARGV[n + 2]) then
    redis.call('PEXPIRE', key_lease(lane), lease)
    redis.call('ZADD', key_due(ARGV[n + 1]), 'XX', now + lease, lane)
    kept[#kept + 1] = (n + 1) / 3
  end
end
return kept
