-- What waits, and which gates are not open.
-- ARGV[1] most lanes to look at, of each destination
-- Returns {{destination, lanes, state or '', reason, seconds since it closed} …},
--         {{'channel|kind of lane', ms since the oldest of its lanes' heads was accepted} …}

local gates, oldest, order = {}, {}, {}
for _, destination in ipairs(redis.call('SMEMBERS', KEY_DESTINATIONS)) do
  local due = key_due(destination)
  local gate = redis.call('HMGET', key_gate(destination), 'state', 'reason', 'since')
  gates[#gates + 1] = { destination, redis.call('ZCARD', due), gate[1] or '', gate[2] or '',
                        gate[3] and math.floor((now - gate[3]) / 1000) or 0 }
  for _, lane in ipairs(redis.call('ZRANGE', due, 0, tonumber(ARGV[1]) - 1)) do
    local head = redis.call('ZRANGE', key_lane(lane), 0, 0)[1]
    local known = head and redis.call('HMGET', key_message(head), 'channel', 'appended') or {}
    if known[1] and known[2] then
      local name = known[1] .. '|' .. string.match(lane, '^[^/]*')
      local age = now - tonumber(known[2])
      if not oldest[name] then order[#order + 1] = name end
      if not oldest[name] or age > oldest[name] then oldest[name] = age end
    end
  end
end
local ages = {}
for n, name in ipairs(order) do ages[n] = { name, oldest[name] } end
return { gates, ages }
