-- Say, before a call to the outside, where the message is going now.
-- ARGV[1] lane, ARGV[2] destination, ARGV[3] token, ARGV[4] message id
-- ARGV[5] target: what the call is about, for whoever must find out later if it arrived
-- ARGV[6] nonce of this request; repeated with it, the answer is the same
-- ARGV[7..10] rates in ms as for take (all 0: this call does not count)
-- Returns 'go' | 'wait' (a slot is reserved, the lane was given back) | 'withdrawn' | 'void'

local lane, destination, id, nonce = ARGV[1], ARGV[2], ARGV[4], ARGV[6]
local msg = key_message(id)
local kept = kept_answer(lane, nonce)
if kept == 'wait' then return kept end
if not is_held_by(lane, ARGV[3]) then return 'void' end
if redis.call('HGET', msg, 'withdrawn') then return 'withdrawn' end
if kept then return kept end
local rates = { tonumber(ARGV[7]), tonumber(ARGV[8]), tonumber(ARGV[9]), tonumber(ARGV[10]) }
if rates[1] + rates[3] > 0 and wait_for_slot(lane, destination, id, rates) then
  redis.call('HINCRBY', msg, 'attempts', -1)  -- a wait of our own making does not count as one
  return keep_answer(lane, nonce, 'wait')
end
redis.call('HSET', msg, 'target', ARGV[5], 'announced_at', now)
return keep_answer(lane, nonce, 'go')
