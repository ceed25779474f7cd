-- Lease due lanes whose destination's gate is open and whose replies are not held; of a closed one whose time has come, one lane
-- as the probe.
-- ARGV[1] token: names this claim; repeated with it, the answer is the same
-- ARGV[2] most lanes to lease
-- ARGV[3] lease in ms
-- ARGV[4] most lanes of one destination
-- ARGV[5] JSON {destination: lanes of it that the caller has at work already}
-- Returns {{lane, destination} …}, ms until the next lane is due (-1: none is)

local token, wanted, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local at_work = cjson.decode(ARGV[5])
local held = key_claim(token)

local claimed, next_due = {}, -1
local before = redis.call('LRANGE', held, 0, -1)
for n = 1, #before, 2 do claimed[#claimed + 1] = { before[n], before[n + 1] } end
if #claimed > 0 then return { claimed, 0 } end

local function keep_soonest(at)
  local left = math.max(0, at - now)
  if next_due < 0 or left < next_due then next_due = left end
end

-- How many lanes this destination's gate lets through; 0 and the time to ask again if it is shut, or
-- if its replies are held.
local function lanes_admitted(destination, most)
  local held = held_until(destination)
  if held then return 0, held end
  local gate = redis.call('HMGET', key_gate(destination), 'state', 'until')
  if not gate[1] then return most end
  local at = tonumber(gate[2])
  if at > now then return 0, at end
  return math.min(1, most)
end

-- Returns the number of lanes leased: 1, or 0 if there was nothing in it, or somebody has it.
local function lease_lane(lane, destination)
  if redis.call('EXISTS', key_lane(lane)) == 0 then
    redis.call('ZREM', key_due(destination), lane)
    return 0
  end
  local left = redis.call('PTTL', key_lease(lane))
  if left > 0 and not is_left_over(key_lease(lane), lease) then  -- by way of another destination, which it had before
    redis.call('ZADD', key_due(destination), now + left, lane)
    return 0
  end
  redis.call('ZADD', key_due(destination), now + lease, lane)
  redis.call('SET', key_lease(lane), token, 'PX', lease)
  redis.call('RPUSH', held, lane, destination)
  claimed[#claimed + 1] = { lane, destination }
  return 1
end

-- Lease up to `most` lanes that are due, the longest due first.
local function lease_due(destination, most)
  local found = 0
  while found < most do
    local lane = redis.call('ZRANGEBYSCORE', key_due(destination), '-inf', now, 'LIMIT', 0, 1)[1]
    if not lane then break end
    found = found + lease_lane(lane, destination)
  end
  return found
end

local function claim_from(destination)
  local most = math.min(wanted - #claimed, tonumber(ARGV[4]) - (at_work[destination] or 0))
  local allowed, closed_until = lanes_admitted(destination, most)
  local due = key_due(destination)
  if allowed > 0 then
    local found = lease_due(destination, allowed)
    if found == 1 and redis.call('HGET', key_gate(destination), 'state') then
      redis.call('HSET', key_gate(destination), 'state', 'probing', 'until', now + lease,
                 'probe', claimed[#claimed][1])
    end
  end
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
  -- A destination that has all the threads it may have is asked again when one comes back.
  if first and most > 0 then keep_soonest(math.max(tonumber(first), closed_until or 0)) end
end

local destinations = redis.call('SMEMBERS', KEY_DESTINATIONS)
-- Each claim starts elsewhere, so that no destination is always served last.
local start = #destinations > 0 and (now % #destinations) or 0
for n = 1, #destinations do
  if #claimed >= wanted then break end
  claim_from(destinations[(start + n) % #destinations + 1])
end
if #claimed > 0 then redis.call('PEXPIRE', held, lease) end
return { claimed, next_due }
