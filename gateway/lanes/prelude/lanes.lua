-- Lanes: what waits in them, who has them, when they need attention, what they answered last.

local ANSWER = 60  -- seconds that a lane keeps its last answer, for a repetition

-- The place behind all that waits in a lane.
local function order_at_end(lane)
  return (tonumber(redis.call('ZRANGE', key_lane(lane), -1, -1, 'WITHSCORES')[2]) or 0) + 1
end

local function is_held_by(lane, token)
  return redis.call('GET', key_lease(lane)) == token
end

-- The name of the worker that has a lane: its lease's token begins with it.
local function worker_of(lane)
  return string.match(redis.call('GET', key_lease(lane)) or '', '^([^.]*)%.') or ''
end

-- A request whose answer was lost comes again under the same nonce. The lane keeps the answer to its
-- last request: what was done for it must not be done twice, not even if the lane's head is another
-- message by now.
local function keep_answer(lane, nonce, answer)
  redis.call('SET', key_answer(lane), nonce .. ' ' .. answer, 'EX', ANSWER)
  return answer
end

local function kept_answer(lane, nonce)
  local kept = redis.call('GET', key_answer(lane))
  local named = nonce .. ' '
  if kept and string.sub(kept, 1, #named) == named then return string.sub(kept, #named + 1) end
end

-- Let a drain that lingers know. The list is short: it says «look», not «look at this».
local function wake()
  if redis.call('LLEN', KEY_WAKE) < 8 then redis.call('RPUSH', KEY_WAKE, '1') end
end

local function schedule(lane, destination, at)
  redis.call('SADD', KEY_DESTINATIONS, destination)
  redis.call('ZADD', key_due(destination), at, lane)
  if at <= now + 1000 then wake() end
end

-- Make a lane due, unless it has a time: it is leased, backing off, or due before.
local function make_due(lane, destination, at)
  if not redis.call('ZSCORE', key_due(destination), lane) then schedule(lane, destination, at) end
end

-- A probe that ended without a word about its destination: another lane may be the probe at once.
local function pass_probe_on(lane, destination)
  local gate = redis.call('HMGET', key_gate(destination), 'state', 'probe')
  if gate[1] == 'probing' and gate[2] == lane then
    redis.call('HSET', key_gate(destination), 'until', now)
  end
end

local function open_gate(destination)
  local gate = key_gate(destination)
  local state = redis.call('HMGET', gate, 'state', 'failures')
  if state[1] or state[2] then
    redis.call('HDEL', gate, 'state', 'reason', 'until', 'failures', 'closings', 'since', 'cause',
               'probe')
    wake()
  end
end

-- Until when the replies to a destination wait, because a web process has returned and it is not known
-- yet which older ones it has missed (record_return.lua). Nil if they need not.
local function held_until(destination)
  local left = redis.call('PTTL', key_hold(destination))
  return left > 0 and now + left or nil
end

-- Give the lane back: due when its head may leave, or not at all if nothing waits.
local function give_back(lane, destination, not_before)
  redis.call('DEL', key_lease(lane))
  pass_probe_on(lane, destination)
  local head = redis.call('ZRANGE', key_lane(lane), 0, 0)[1]
  if not head then
    redis.call('ZREM', key_due(destination), lane)
    return
  end
  local ready = tonumber(redis.call('HGET', key_message(head), 'ready')) or now
  schedule(lane, destination, math.max(ready, not_before or now))
end

local function give_back_and_rest(lane, destination, nonce)
  give_back(lane, destination)
  return { keep_answer(lane, nonce, 'rest') }
end

-- A message leaves its lane for good. A reply that leaves behind a younger one is counted as late.
local function leave_lane(id, lane, kind, order, channel)
  redis.call('ZREM', key_lane(lane), id)
  if kind ~= 'out' then return end
  local route = key_route(lane)
  local last = tonumber(redis.call('HGET', route, 'last_order')) or 0
  if order < last then count('late', channel) end
  if order > last then
    redis.call('HSET', route, 'last_order', order)
    redis.call('EXPIRE', route, LEDGER)
  end
end

-- Put a private note into the status lane of a conversation, once. `nonce` names the request.
local function add_note(note, nonce)
  local key, order = key_message(note.id), order_at_end(note.lane)
  if redis.call('EXISTS', key) == 1 then return end
  redis.call('HSET', key, 'v', '1', 'kind', 'note', 'body', note.body, 'lane', note.lane,
             'destination', note.destination, 'channel', note.channel, 'state', 'waiting',
             'appended', now, 'ready', now, 'request', nonce, 'order', order)
  redis.call('ZADD', key_lane(note.lane), order, note.id)
  make_due(note.lane, note.destination, now)
end
