-- This message is done: out of its lane, outcome noted. Hand out the next one, or give back.
-- KEYS[1] namespace
-- ARGV[1] lane, ARGV[2] destination, ARGV[3] token, ARGV[4] message id
-- ARGV[5] nonce of this request; repeated with it, the answer is the same
-- ARGV[6] 'more' to go on with the next message, 'stop' to give the lane back
-- ARGV[7] JSON of the outcome: {told?: the status that Chatwoot shows now, doubled?: number of
--         doubles removed, memos?: what to remember of lanes, [[lane, {field: value}] …]}
-- ARGV[8..11] rates in ms as for take
-- Returns {'next', …} | {'rest'} | {'void'}, see the prelude

local lane, destination, id, nonce = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local msg = key_msg(id)
local before = worked(lane, destination, ARGV[3], nonce)
if before then return before end

-- Agents who were told that the reply waits are told that it waits no more.
local function end_delay()
  local after = redis.call('HMGET', msg, 'then', 'withdrawn')
  if after[1] and not after[2] then leave_note(cjson.decode(after[1]), nonce) end
  redis.call('HDEL', msg, 'then')
end

local function delivered(known)
  local kind, channel, of = known[1], known[2], known[3]
  gate_opens(destination)
  redis.call('HSET', key_gate(destination), 'ok', now)
  count('delivered_' .. kind, channel)
  redis.call('HSET', msg, 'state', 'done')
  redis.call('HDEL', msg, 'body', 'error', 'slot', 'target', 'uncertain', 'by')
  settle(id, lane, kind, tonumber(known[4]) or 0, channel)
  if kind == 'out' then
    redis.call('EXPIRE', msg, LEDGER)
    end_delay()
    -- What we have just delivered is sent, whatever was told of it before, unless the network said
    -- in the meantime that it failed.
    report(id, 'sent', '', redis.call('HEXISTS', msg, 'failure') == 0)
  elseif kind == 'in' then
    redis.call('EXPIRE', msg, SEEN)
  else
    redis.call('EXPIRE', msg, DAY)
  end
  return of
end

-- What stays of a message once it is delivered, written anew: Redis keeps a small hash in a third of
-- the space, but not one that was large before. Of a customer's message only what tells a repetition,
-- and whoever answers it, has to be known.
local REMEMBERED = { 'request', 'state', 'kind', 'channel', 'conversation', 'unsure' }
local function shrink(kind)
  local left = redis.call('TTL', msg)
  if left <= 0 then return end
  local kept = {}
  if kind == 'in' then
    for n, value in ipairs(redis.call('HMGET', msg, unpack(REMEMBERED))) do
      if value then kept[#kept + 1] = REMEMBERED[n]; kept[#kept + 1] = value end
    end
  else
    kept = fields(msg)
  end
  redis.call('DEL', msg)
  redis.call('HSET', msg, unpack(kept))
  redis.call('EXPIRE', msg, left)
end

-- A newer conversation began while the message was on its way to this one, and whoever chose this one
-- had not `looked` at it: the next message must choose again.
local function is_overtaken(memo)
  local newer = redis.call('HGET', key_route(memo[1]), 'newer')
  local chosen = tonumber(memo[2].conversation)
  return newer and chosen and chosen < tonumber(newer) and memo[2].looked ~= newer
end

if redis.call('ZSCORE', key_lane(lane), id) then
  local known = redis.call('HMGET', msg, 'kind', 'channel', 'of', 'order', 'appended')
  local outcome = cjson.decode(ARGV[7])
  local subject = delivered(known)
  for _, memo in ipairs(outcome.memos or {}) do
    if is_overtaken(memo) then memo[2].conversation = nil end
    for field, value in pairs(memo[2]) do redis.call('HSET', key_route(memo[1]), field, value) end
    redis.call('EXPIRE', key_route(memo[1]), LEDGER)
  end
  if known[1] == 'in' then  -- where it is shown, for whoever answers it
    local shown = redis.call('HGET', key_route(lane), 'conversation')
    if shown then redis.call('HSET', msg, 'conversation', shown) end
  end
  if outcome.doubled then count('doubles_removed', known[2], outcome.doubled) end
  local seconds = (now - tonumber(known[5])) / 1000
  redis.call('HINCRBYFLOAT', ns .. ':count', 'seconds_' .. known[1] .. '|' .. known[2], seconds)
  if subject and outcome.told and redis.call('EXISTS', key_msg(subject)) == 1 then
    local red = redis.call('HDEL', key_msg(subject), 'red') == 1
    redis.call('HSET', key_msg(subject), 'shown', red and BY_ITSELF or outcome.told)
    tell(subject)  -- if it moved on while we told
  end
  shrink(known[1])
end
if ARGV[6] == 'stop' then
  return rest(lane, destination, nonce)
end
local rates = { tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]) }
return take(lane, destination, nonce, rates)
