-- Say, before a call to the outside, where the message is going now.
-- KEYS[1] namespace
-- ARGV[1] lane, ARGV[2] destination, ARGV[3] token, ARGV[4] message id
-- ARGV[5] target: what the call is about, for whoever must find out later if it arrived
-- ARGV[6..9] rates in ms as for take (all 0: this call does not count)
-- Returns 'go' | 'wait' (a slot is reserved, the lane was given back) | 'withdrawn' | 'void'

local lane, destination, id = ARGV[1], ARGV[2], ARGV[4]
local msg = key_msg(id)
if not holds(lane, ARGV[3]) then
  return 'void'
end
if redis.call('HGET', msg, 'withdrawn') then return 'withdrawn' end
local rates = { tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]) }
if rates[1] + rates[3] > 0 and waits_for_slot(lane, destination, id, rates) then return 'wait' end
redis.call('HSET', msg, 'target', ARGV[5], 'marked', now)
return 'go'
