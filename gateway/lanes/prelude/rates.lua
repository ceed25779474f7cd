-- Rates: when a call may go, by its destination's rate, its lane's own, and the customer's brake.

local BRAKED = 10000  -- ms between two messages of a customer who floods us

-- Reserve the next free slot of one rate for so many calls (GCRA). Returns the time of the slot.
local function reserve(key, interval, burst, calls)
  local tat = tonumber(redis.call('HGET', key, 'tat')) or 0
  local start = math.max(tat, now)
  redis.call('HSET', key, 'tat', start + calls * interval)
  return start - (burst - calls) * interval
end

-- A customer's first message has a contact and a conversation looked for and made as well.
local FIRST_CALLS = 4
local function calls_for(lane)
  local known = string.sub(lane, 1, 3) ~= 'in/'
                or redis.call('HEXISTS', key_route(lane), 'conversation') == 1
  return known and 1 or FIRST_CALLS
end

-- The brake of the customer whose lane this is, while it is on: what comes then is passed on slowly.
local function brake_key_of(lane)
  if string.sub(lane, 1, 3) ~= 'in/' then return nil end
  local brake = redis.call('HGET', key_route(lane), 'brake')
  return brake and redis.call('EXISTS', brake) == 1 and brake or nil
end

-- When may a call of this lane go? rates = {interval, burst, lane_interval, lane_burst} in ms;
-- an interval of 0 means: no limit.
local function reserve_slot(lane, destination, rates)
  local gate, at = key_gate(destination), now
  local paused = tonumber(redis.call('HGET', gate, 'paused')) or 0
  if paused > now then at = paused end
  if rates[1] > 0 then
    local empty = paused + (rates[2] - 1) * rates[1]  -- after a pause the bucket has no burst left
    if paused > 0 and empty > (tonumber(redis.call('HGET', gate, 'tat')) or 0) then
      redis.call('HSET', gate, 'tat', empty)
    end
    at = math.max(at, reserve(gate, rates[1], rates[2], calls_for(lane)))
  end
  if rates[3] > 0 then
    local key = key_pace(lane)
    at = math.max(at, reserve(key, rates[3], rates[4], 1))
    redis.call('PEXPIRE', key, math.ceil(rates[3] * (rates[4] + 1)) + 60000)
  end
  local brake = brake_key_of(lane)
  if brake then at = math.max(at, reserve(brake, BRAKED, 1, 1)) end
  return at
end

local MISSED = 500  -- ms that a call may come later than its slot
-- Wait for a reserved slot: true if the message must wait and the lane was given back.
local function wait_for_slot(lane, destination, id, rates)
  local msg = key_message(id)
  local reserved = tonumber(redis.call('HGET', msg, 'slot'))
  local gate = redis.call('HMGET', key_gate(destination), 'paused', 'state', 'probe')
  local paused = tonumber(gate[1]) or 0
  -- The probe of a closed gate has been waited for long enough; nothing else is called meanwhile.
  if gate[2] == 'probing' and gate[3] == lane and paused <= now then
    redis.call('HDEL', msg, 'slot')
    return false
  end
  -- Overtaken by a pause; or missed, behind a closed gate perhaps: all that were missed together
  -- would now go at once.
  if reserved and reserved < math.max(paused > now and paused or 0, now - MISSED) then
    reserved = nil
  end
  local at = reserved or reserve_slot(lane, destination, rates)
  if at <= now then
    if reserved then redis.call('HDEL', msg, 'slot') end
    return false
  end
  redis.call('HSET', msg, 'slot', at, 'state', 'waiting')
  give_back(lane, destination, at)
  return true
end
