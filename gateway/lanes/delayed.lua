-- Which replies have waited too long? Of each lane only the first: the others wait for it.
-- ARGV[1] destination, ARGV[2] ms that a reply may wait from when it might leave
-- ARGV[3] most lanes to look at
-- Returns {{lane, message id, why, time of the next attempt in Unix ms} …}, those that nobody has
-- been told of yet. Changes nothing.

local destination, found = ARGV[1], {}
local gate = redis.call('HMGET', key_gate(destination), 'state', 'reason', 'until')
local lanes = redis.call('ZRANGE', key_due(destination), 0, tonumber(ARGV[3]) - 1, 'WITHSCORES')
for n = 1, #lanes, 2 do
  local lane, at = lanes[n], tonumber(lanes[n + 1])
  local head = redis.call('ZRANGE', key_lane(lane), 0, 0)[1] or ''
  local known = redis.call('HMGET', key_message(head), 'kind', 'state', 'ready', 'told_of_delay',
                           'error')
  local waits = known[1] == 'out' and known[2] == 'waiting' and not known[4]
  if waits and now - tonumber(known[3]) >= tonumber(ARGV[2]) then
    if gate[1] then at = math.max(at, tonumber(gate[3]) or 0) end
    at = at - ahead
    found[#found + 1] = { lane, head, known[5] or gate[2] or '', at }
  end
end
return found
