-- Chatwoot tells that a reply was updated, and it shows no error: perhaps an agent pressed Retry.
-- Only for a reply that failed, or that we never saw, a look at Chatwoot is put into the status lane,
-- behind what is still to be told of the reply.
-- ARGV[1] id of the reply, ARGV[2] nonce of this request; repeated with it, the answer is the same
-- ARGV[3] JSON of the look: {id, lane, destination, channel, body}
-- Returns 'ok' | 'unknown' (nobody can have pressed it)

local id, look = ARGV[1], cjson.decode(ARGV[3])
-- A look that is under way may have seen the time before the press: then another one follows it.
local names = { look.id, look.id .. ':again' }
for _, name in ipairs(names) do
  if redis.call('HGET', key_message(name), 'request') == ARGV[2] then return 'ok' end
end
local known = redis.call('HMGET', key_message(id), 'state', 'status', 'withdrawn')
local failed = known[2] == 'failed' and (known[1] == 'dead' or known[1] == 'done')
if known[3] or (known[1] and not failed) then return 'unknown' end
if redis.call('EXISTS', key_tombstone(id)) == 1 then return 'unknown' end
local free
for _, name in ipairs(names) do
  local waits = redis.call('ZSCORE', key_lane(look.lane), name)
  if waits and redis.call('HGET', key_message(name), 'state') ~= 'sending' then return 'ok' end
  if not waits then free = free or name end
end
local given_up = redis.call('HGET', key_message(free), 'dead_letter')
if given_up then redis.call('XDEL', KEY_DEAD_LETTERS, given_up) end
redis.call('DEL', key_message(free))
local order = order_at_end(look.lane)
redis.call('HSET', key_message(free), 'v', '1', 'kind', 'check_retry', 'subject', id,
           'body', look.body, 'lane', look.lane, 'destination', look.destination, 'channel', look.channel,
           'state', 'waiting', 'appended', now, 'ready', now, 'request', ARGV[2], 'order', order)
redis.call('ZADD', key_lane(look.lane), order, free)
make_due(look.lane, look.destination, now)
return 'ok'
