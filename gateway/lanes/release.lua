-- Give a lane back untouched: no call was made for the message that was handed out with it.
-- ARGV[1] lane, ARGV[2] destination, ARGV[3] token, ARGV[4] id of the message handed out, or ''
-- ARGV[5] ms before it may be claimed again
-- Returns 'ok' | 'void'

local lane, msg = ARGV[1], key_message(ARGV[4])
if not is_held_by(lane, ARGV[3]) then
  return 'void'
end
if ARGV[4] ~= '' and redis.call('HGET', msg, 'state') == 'sending' then
  redis.call('HSET', msg, 'state', 'waiting')
  redis.call('HINCRBY', msg, 'attempts', -1)
end
give_back(lane, ARGV[2], now + tonumber(ARGV[5]))
return 'ok'
