-- The clock, how long things stay, and counting.

local clock = redis.call('TIME')

-- Milliseconds by Redis's own clock, which is never let go back: if its host's does, or if a replica
-- that was promoted is behind, all that is stored would lie in the future, gates, slots and lanes,
-- and nothing would move until then. The difference is added from then on.
local TOLERATED = 2000  -- ms; how far it got is noted every second
local function read_clock()
  local noted = redis.call('HMGET', KEY_CLOCK, 'seen', 'ahead')
  local seen, ahead = tonumber(noted[1]) or 0, tonumber(noted[2]) or 0
  local at = clock[1] * 1000 + math.floor(clock[2] / 1000) + ahead
  if at < seen - TOLERATED then
    redis.call('HSET', KEY_CLOCK, 'ahead', ahead + seen - at, 'stepped', seen - at)
    return seen, ahead + seen - at
  end
  if at >= seen + 1000 then redis.call('HSET', KEY_CLOCK, 'seen', at) end
  return at, ahead
end
local now, ahead = read_clock()

-- What ends by itself does so by the host's clock. When that went back, a key of somebody who has
-- died would stay as much longer; whoever lives renews it. `ms`: how long such a key can last.
local function is_left_over(key, ms)
  local left = redis.call('PTTL', key)
  local stepped = tonumber(redis.call('HGET', KEY_CLOCK, 'stepped'))
  return stepped and left > ms and left > stepped / 2
end

-- Up to a tenth of a wait more, at most a second: what waits for the same moment does not come at once.
local function spread(ms)
  return tonumber(clock[2]) % (math.floor(math.min(ms / 10, 1000)) + 1)
end

local DAY = 86400
local LEDGER = 90 * DAY  -- seconds that a sent reply stays known

local function count(what, channel, n)
  redis.call('HINCRBY', KEY_COUNTS, what .. '|' .. channel, n or 1)
end

local function read_hash(key)
  return redis.call('HGETALL', key)
end
