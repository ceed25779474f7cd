-- A process's sign of life. A script, so that it is shown in a full Redis too.
-- Others of its role that went silent long ago are forgotten; the last of a role never is, or a role
-- that nobody plays would look like one that needs nobody.
-- ARGV[1] role:host:process id, ARGV[2] ms after which a process that went silent is forgotten
-- Returns 'ok'

local beats = KEY_HEARTBEATS
redis.call('HSET', beats, ARGV[1], string.format('%.3f', (now - ahead) / 1000))
local role = string.match(ARGV[1], '^[^:]*')
local known = read_hash(beats)
for n = 1, #known, 2 do
  local same = string.match(known[n], '^[^:]*') == role
  if same and now - ahead - tonumber(known[n + 1]) * 1000 > tonumber(ARGV[2]) then
    redis.call('HDEL', beats, known[n])
  end
end
return 'ok'
