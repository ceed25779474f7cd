-- This message is done: out of its lane, outcome noted. Hand out the next one, or give back.
-- KEYS[1] namespace
-- ARGV[1] lane, ARGV[2] destination, ARGV[3] token, ARGV[4] message id
-- ARGV[5] nonce of this request; repeated with it, the answer is the same
-- ARGV[6] 'more' to go on with the next message, 'stop' to give the lane back
-- ARGV[7] JSON of the outcome: {told?: the status that Chatwoot shows now, route?: {field: value},
--         doubled?: number of doubles removed}
-- ARGV[8..11] rates in ms as for take
-- Returns {'next', …} | {'rest'} | {'void'}, see the prelude

local lane, destination, id, nonce = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local msg = key_msg(id)
if not holds(lane, ARGV[3]) then
  local repeated = redis.call('HGET', msg, 'ended') == nonce
  return { repeated and 'rest' or 'void' }
end
local function delivered(known)
  local kind, channel, of = known[1], known[2], known[3]
  gate_opens(destination)
  count('delivered_' .. kind, channel)
  redis.call('HSET', msg, 'state', 'done', 'ended', nonce)
  redis.call('HDEL', msg, 'body', 'error', 'slot', 'target', 'uncertain', 'mark')
  settle(id, lane, kind, tonumber(known[4]) or 0)
  if kind == 'out' then
    redis.call('EXPIRE', msg, LEDGER)
    report(id, 'sent', '', true)
  elseif kind == 'in' then
    redis.call('EXPIRE', msg, SEEN)
  else
    redis.call('EXPIRE', msg, DAY)
  end
  return of
end

-- A status that moved on while it was told comes back under the same id: then it is the one that
-- this very request has handed out, not the one that it acknowledges.
local handed_out = redis.call('HGET', msg, 'mark') == nonce
if redis.call('ZSCORE', key_lane(lane), id) and not handed_out then
  local known = redis.call('HMGET', msg, 'kind', 'channel', 'of', 'order', 'appended')
  local outcome = cjson.decode(ARGV[7])
  local subject = delivered(known)
  for field, value in pairs(outcome.route or {}) do
    redis.call('HSET', key_route(lane), field, value)
    redis.call('EXPIRE', key_route(lane), LEDGER)
  end
  if outcome.doubled then count('doubles_removed', known[2], outcome.doubled) end
  local seconds = (now - tonumber(known[5])) / 1000
  redis.call('HINCRBYFLOAT', ns .. ':count', 'seconds_' .. known[1] .. '|' .. known[2], seconds)
  if subject and outcome.told then
    redis.call('HSET', key_msg(subject), 'shown', outcome.told)
    local status = redis.call('HGET', key_msg(subject), 'status')
    if status and status ~= outcome.told then  -- it moved on while we told
      redis.call('HDEL', key_msg(subject), 'status')
      report(subject, status, redis.call('HGET', key_msg(subject), 'reason'))
    end
  end
end
if ARGV[6] == 'stop' then
  give_back(lane, destination)
  return { 'rest' }
end
local rates = { tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]) }
return take(lane, destination, nonce, rates)
