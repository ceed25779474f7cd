-- Forget all that is remembered of a lane, but not what waits in it.
-- ARGV[1] lane
-- ARGV[2..] tokens of the claims that may have leased it
-- Returns 'erased' | 'busy' (a worker has it: what it delivers would be remembered again)

local lane = ARGV[1]
if redis.call('EXISTS', key_lease(lane)) == 1 then return 'busy' end
redis.call('DEL', key_route(lane), key_answer(lane), key_pace(lane))
local waits = redis.call('EXISTS', key_lane(lane)) == 1
for _, destination in ipairs(redis.call('SMEMBERS', KEY_DESTINATIONS)) do
  redis.call('SREM', key_failing(destination), lane)
  redis.call('SREM', key_throttled(destination), lane)
  if not waits then redis.call('ZREM', key_due(destination), lane) end
end

-- What a claim has leased is kept for its repetition: lane, destination, lane, destination …
for n = 2, #ARGV do
  local claim = key_claim(ARGV[n])
  local leased, others, left = redis.call('LRANGE', claim, 0, -1), {}, redis.call('PTTL', claim)
  for at = 1, #leased, 2 do
    if leased[at] ~= lane then
      others[#others + 1] = leased[at]
      others[#others + 1] = leased[at + 1]
    end
  end
  if #others < #leased then
    redis.call('DEL', claim)
    if #others > 0 then
      redis.call('RPUSH', claim, unpack(others))
      redis.call('PEXPIRE', claim, left)
    end
  end
end
return 'erased'
