-- Take a message out of its lane and the dead letters, and all that it says of a person out of what is
-- known of it. Its id stays known, so that it is not taken for a new one; of a reply that has not left,
-- Chatwoot is told that it was not sent.
-- ARGV[1] message id, ARGV[2] why a reply was not sent, for agents
-- Returns 'erased' | 'busy' (a worker has it: ask again) | 'unknown'

local SEEN = 7 * DAY  -- seconds that a customer's message is recognised as a repetition, as in ack
local KEPT = { 'v', 'request', 'state', 'kind', 'channel', 'withdrawn' }
local KEPT_OF_REPLY = { 'lane', 'destination', 'order', 'status', 'reason', 'shown', 'marked_failed',
                        'times_marked', 'status_lane', 'status_destination' }

local id = ARGV[1]
local msg = key_message(id)
local known = redis.call('HMGET', msg, 'state', 'kind', 'lane', 'destination', 'channel',
                         'dead_letter')
local state, kind, lane, destination, channel = known[1], known[2], known[3], known[4], known[5]
if not kind then return 'unknown' end

if lane and redis.call('ZSCORE', key_lane(lane), id) then
  local leased = redis.call('EXISTS', key_lease(lane)) == 1
  local is_head = redis.call('ZRANGE', key_lane(lane), 0, 0)[1] == id
  if leased and is_head then return 'busy' end
  redis.call('ZREM', key_lane(lane), id)
  if is_head then give_back(lane, destination) end
end
if known[6] then redis.call('XDEL', KEY_DEAD_LETTERS, known[6]) end

local has_left = state == 'done' or state == 'withdrawn'
if kind == 'out' then
  if not has_left then set_status(id, 'failed', ARGV[2]) end
  if redis.call('HGET', msg, 'status') == 'failed' then
    redis.call('HSET', msg, 'reason', ARGV[2])  -- the network's own word may name the person
  end
end
if not has_left then
  -- An agent may press Retry below a reply that is «done» and failed.
  redis.call('HSET', msg, 'state', kind == 'out' and 'done' or 'dropped')
end

-- What the network calls its parts names a phone number on some networks.
local function forget_external_ids(fields)
  for n = 1, #fields, 2 do
    if string.match(fields[n], '^part:%d+$') then
      for _, external in ipairs(cjson.decode(fields[n + 1])) do
        redis.call('DEL', key_external(channel, external), key_parked(channel, external))
      end
    end
  end
end
forget_external_ids(read_hash(msg))

local kept = {}
local function keep(names)
  for n, value in ipairs(redis.call('HMGET', msg, unpack(names))) do
    if value then kept[#kept + 1] = names[n]; kept[#kept + 1] = value end
  end
end
keep(KEPT)
if kind == 'out' then keep(KEPT_OF_REPLY) end
local left = redis.call('TTL', msg)
if left <= 0 then left = kind == 'out' and LEDGER or kind == 'in' and SEEN or DAY end
redis.call('DEL', msg)
redis.call('HSET', msg, unpack(kept))
redis.call('EXPIRE', msg, left)
count('erased_' .. kind, channel)
return 'erased'
