-- Lease due lanes whose destination's gate is open; of a closed one whose time has come, one lane
-- as the probe.
-- KEYS[1] namespace
-- ARGV[1] token: names this claim; repeated with it, the answer is the same
-- ARGV[2] most lanes to lease
-- ARGV[3] lease in ms
-- ARGV[4] most lanes of one destination
-- ARGV[5] JSON {destination: lanes of it that the caller has at work already}
-- Returns {{lane, destination} …}, ms until the next lane is due (-1: none is)

local token, wanted, lease = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local at_work = cjson.decode(ARGV[5])
local held = ns .. ':held:' .. token

local claimed, next_due = {}, -1
local before = redis.call('LRANGE', held, 0, -1)
for n = 1, #before, 2 do claimed[#claimed + 1] = { before[n], before[n + 1] } end
if #claimed > 0 then return { claimed, 0 } end

local function soonest(at)
  local left = math.max(0, at - now)
  if next_due < 0 or left < next_due then next_due = left end
end

-- How many lanes this destination's gate lets through; 0 and the time to ask again if it is shut.
local function admitted(destination, most)
  local gate = redis.call('HMGET', key_gate(destination), 'state', 'until')
  if not gate[1] then return most end
  local at = tonumber(gate[2])
  if at > now then return 0, at end
  return 1
end

local function lease_lane(lane, destination)
  if redis.call('EXISTS', key_lane(lane)) == 0 then
    redis.call('ZREM', key_due(destination), lane)
    return
  end
  redis.call('ZADD', key_due(destination), now + lease, lane)
  redis.call('SET', key_lease(lane), token, 'PX', lease)
  redis.call('RPUSH', held, lane, destination)
  claimed[#claimed + 1] = { lane, destination }
end

local function claim_of(destination)
  local most = math.min(wanted - #claimed, tonumber(ARGV[4]) - (at_work[destination] or 0))
  local allowed, closed_until = admitted(destination, most)
  local due = key_due(destination)
  if allowed > 0 then
    local lanes = redis.call('ZRANGEBYSCORE', due, '-inf', now, 'LIMIT', 0, allowed)
    for _, lane in ipairs(lanes) do lease_lane(lane, destination) end
    if allowed == 1 and #lanes == 1 and redis.call('HGET', key_gate(destination), 'state') then
      redis.call('HSET', key_gate(destination), 'state', 'probing', 'until', now + lease)
    end
  end
  local first = redis.call('ZRANGE', due, 0, 0, 'WITHSCORES')[2]
  -- A destination that has all the threads it may have is asked again when one comes back.
  if first and most > 0 then soonest(math.max(tonumber(first), closed_until or 0)) end
end

local destinations = redis.call('SMEMBERS', ns .. ':destinations')
-- Each claim starts elsewhere, so that no destination is always served last.
local start = #destinations > 0 and (now % #destinations) or 0
for n = 1, #destinations do
  if #claimed >= wanted then break end
  claim_of(destinations[(start + n) % #destinations + 1])
end
if #claimed > 0 then redis.call('PEXPIRE', held, lease) end
return { claimed, next_due }
