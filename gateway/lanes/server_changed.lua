-- The first words on a new connection: is this the server, and the run of it, that was written to?
-- A replica that was promoted, a server that restarted without a log that is written at once, one
-- whose log was cut, or a backup, may not know what was told last: announcements and acks among it.
-- ARGV[1] run id of the server (INFO), ARGV[2] 'kept' if it says that it cannot have lost anything,
-- else '', ARGV[3] the highest sequence number that the caller was ever told (absent or 0: none)
-- Returns 'same' | 'first' (of all) | 'kept' | 'lost': what could have left by now is uncertain

local run, told = ARGV[1], tonumber(ARGV[3] or 0)
local before = redis.call('GET', KEY_SERVER_RUN)
local sequence = tonumber(redis.call('GET', KEY_SEQUENCE)) or 0

-- Whoever met this run first may have remembered less than this caller.
local function has_gone_back()
  local began = string.match(redis.call('GET', KEY_SERVER_BEGAN) or '', '^' .. run .. ' (%d+)$')
  return began and told > tonumber(began)
end

local function trust(answer)
  redis.call('SET', KEY_SERVER_BEGAN, run .. ' ' .. sequence)
  return answer
end

if before == run then
  if not has_gone_back() then return 'same' end
else
  redis.call('SET', KEY_SERVER_RUN, run)
  if not before and told == 0 then return trust('first') end
  if ARGV[2] == 'kept' and told <= sequence then return trust('kept') end
end
redis.call('DEL', KEY_SERVER_BEGAN)  -- each run is doubted once
redis.call('SET', KEY_FAILOVER, now)
redis.call('DEL', KEY_FAILOVER_CLOSED)
for _, destination in ipairs(redis.call('SMEMBERS', KEY_DESTINATIONS)) do
  if redis.call('HGET', key_gate(destination), 'state') then
    redis.call('SADD', KEY_FAILOVER_CLOSED, destination)
  end
end
return 'lost'
