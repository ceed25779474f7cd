-- Never: give up on this message, keep it among the dead letters, tell Chatwoot if it was a reply,
-- and go on with the next one.
-- ARGV[1] lane, ARGV[2] destination, ARGV[3] token, ARGV[4] message id, ARGV[5] nonce
-- ARGV[6] reason, for the agent
-- ARGV[7] 'more' or 'stop', ARGV[8..11] rates in ms, as for ack
-- ARGV[12] JSON null, or a note for the agents: {id, lane, destination, channel, body}
-- ARGV[13] 'uncertain' if the message may have arrived, '' if this says nothing of it
-- Returns {'next', …} | {'rest'} | {'void'}, see prelude/attempts.lua

local lane, destination, id, nonce = ARGV[1], ARGV[2], ARGV[4], ARGV[5]
local msg = key_message(id)
local before = repeated_answer(lane, destination, ARGV[3], nonce)
if before then return before end

if redis.call('ZSCORE', key_lane(lane), id) then
  local known = redis.call('HMGET', msg, 'kind', 'channel', 'order')
  leave_lane(id, lane, known[1], tonumber(known[3]) or 0, known[2])
  local entry = redis.call('XADD', KEY_DEAD_LETTERS, '*', 'id', id, 'reason', ARGV[6],
                           'channel', known[2], 'kind', known[1])
  redis.call('HSET', msg, 'state', 'dead', 'error', ARGV[6], 'dead_letter', entry)
  redis.call('HDEL', msg, 'slot')
  count('buried_' .. known[1], known[2])
  if ARGV[13] == 'uncertain' and redis.call('HSETNX', msg, 'uncertain', 1) == 1 then
    count('uncertain', known[2])
  end
  if known[1] == 'out' then set_status(id, 'failed', ARGV[6]) end
  local note = cjson.decode(ARGV[12])
  if note ~= cjson.null then add_note(note, nonce) end
end
if ARGV[7] == 'stop' then
  return give_back_and_rest(lane, destination, nonce)
end
local rates = { tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]), tonumber(ARGV[11]) }
return take(lane, destination, nonce, rates)
