-- The clock, how long things stay, and counting.

local clock = redis.call('TIME')
local now = clock[1] * 1000 + math.floor(clock[2] / 1000)  -- milliseconds, Redis's own clock

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
