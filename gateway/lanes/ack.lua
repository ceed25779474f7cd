-- This message is done: out of its lane, outcome noted. Hand out the next one, or give back.
-- ARGV[1] lane, ARGV[2] destination, ARGV[3] token, ARGV[4] message id
-- ARGV[5] nonce of this request; repeated with it, the answer is the same
-- ARGV[6] 'more' to go on with the next message, 'stop' to give the lane back
-- ARGV[7] JSON of the outcome: {told?: the status that Chatwoot shows now, doubled?: number of
--         doubles removed, routes?: what to remember of lanes, [[lane, {field: value}] …]}
-- ARGV[8..11] rates in ms as for take
-- Returns {'next', …} | {'rest'} | {'void'}, see prelude/attempts.lua; the first time with a
-- sequence number behind it

local lane, destination, id, nonce = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local msg = key_message(id)
local before = repeated_answer(lane, destination, ARGV[3], nonce)
if before then return before end

local SEEN = 7 * DAY  -- seconds that a customer's message is recognised as a repetition

-- Agents who were told that the reply waits are told that it waits no more.
local function end_delay()
  local after = redis.call('HMGET', msg, 'note_after', 'withdrawn')
  if after[1] and not after[2] then add_note(cjson.decode(after[1]), nonce) end
  redis.call('HDEL', msg, 'note_after')
end

-- Returns the reply that the message was about, if any.
local function finish(known)
  local kind, channel = known[1], known[2]
  open_gate(destination)
  redis.call('DEL', key_failing(destination))
  redis.call('HSET', key_gate(destination), 'served_at', now)
  count('delivered_' .. kind, channel)
  redis.call('HSET', msg, 'state', 'done')
  redis.call('HDEL', msg, 'body', 'error', 'slot', 'target', 'uncertain', 'worker')
  leave_lane(id, lane, kind, tonumber(known[4]) or 0, channel)
  if kind == 'out' then
    redis.call('EXPIRE', msg, LEDGER)
    end_delay()
    -- What we have just delivered is sent, whatever was told of it before, unless the network said
    -- in the meantime that it failed.
    set_status(id, 'sent', '', redis.call('HEXISTS', msg, 'failure') == 0)
  elseif kind == 'in' then
    redis.call('EXPIRE', msg, SEEN)
  else
    redis.call('EXPIRE', msg, DAY)
  end
  return known[3]
end

-- What stays of a message once it is delivered, written anew: Redis keeps a small hash in a third of
-- the space, but not one that was large before. Of a customer's message only what tells a repetition,
-- and whoever answers it, has to be known.
local REMEMBERED = { 'request', 'state', 'kind', 'channel', 'conversation', 'was_uncertain' }
local function shrink(kind)
  local left = redis.call('TTL', msg)
  if left <= 0 then return end
  local kept = {}
  if kind == 'in' then
    for n, value in ipairs(redis.call('HMGET', msg, unpack(REMEMBERED))) do
      if value then kept[#kept + 1] = REMEMBERED[n]; kept[#kept + 1] = value end
    end
  else
    kept = read_hash(msg)
  end
  redis.call('DEL', msg)
  redis.call('HSET', msg, unpack(kept))
  redis.call('EXPIRE', msg, left)
end

-- A newer conversation began while the message was on its way to this one, and whoever chose this one
-- had not `looked` at it: the next message must choose again.
local function is_overtaken(route, learned)
  local newer = redis.call('HGET', route, 'newer')
  local chosen = tonumber(learned.conversation)
  return newer and chosen and chosen < tonumber(newer) and learned.looked ~= newer
end

local function remember(route, learned)
  if is_overtaken(route, learned) then learned.conversation = nil end
  for field, value in pairs(learned) do redis.call('HSET', route, field, value) end
  redis.call('EXPIRE', route, LEDGER)
end

if redis.call('ZSCORE', key_lane(lane), id) then
  local known = redis.call('HMGET', msg, 'kind', 'channel', 'subject', 'order', 'appended')
  local outcome = cjson.decode(ARGV[7])
  local subject = finish(known)
  for _, learned in ipairs(outcome.routes or {}) do remember(key_route(learned[1]), learned[2]) end
  if known[1] == 'in' then  -- where it is shown, for whoever answers it
    local shown = redis.call('HGET', key_route(lane), 'conversation')
    if shown then redis.call('HSET', msg, 'conversation', shown) end
  end
  if outcome.doubled then count('doubles_removed', known[2], outcome.doubled) end
  local seconds = (now - tonumber(known[5])) / 1000
  redis.call('HINCRBYFLOAT', KEY_COUNTS, 'seconds_' .. known[1] .. '|' .. known[2], seconds)
  if subject and outcome.told and redis.call('EXISTS', key_message(subject)) == 1 then
    local red = redis.call('HDEL', key_message(subject), 'marked_failed') == 1
    redis.call('HSET', key_message(subject), 'shown', red and MARKED_FAILED or outcome.told)
    queue_status(subject)  -- if it moved on while we told
  end
  shrink(known[1])
end
local function go_on()
  if ARGV[6] == 'stop' then return give_back_and_rest(lane, destination, nonce) end
  local rates = { tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]) }
  return take(lane, destination, nonce, rates)
end
local answer = go_on()
answer[#answer + 1] = redis.call('INCR', KEY_SEQUENCE)
return answer
