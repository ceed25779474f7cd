-- The first words on a new connection: is this the server, and the run of it, that was written to?
-- A replica that was promoted, or a server that restarted without a log that is written at once, may
-- not know what the one before was told in its last moments: announcements and acks among it.
-- ARGV[1] run id of the server (INFO), ARGV[2] 'kept' if it cannot have lost anything, else ''
-- Returns 'same' | 'first' (of all) | 'kept' | 'lost': what could have left by now is uncertain

local before = redis.call('GET', KEY_SERVER_RUN)
if before == ARGV[1] then return 'same' end
redis.call('SET', KEY_SERVER_RUN, ARGV[1])
if not before then return 'first' end
if ARGV[2] == 'kept' then return 'kept' end
redis.call('SET', KEY_FAILOVER, now)
redis.call('DEL', KEY_FAILOVER_CLOSED)
for _, destination in ipairs(redis.call('SMEMBERS', KEY_DESTINATIONS)) do
  if redis.call('HGET', key_gate(destination), 'state') then
    redis.call('SADD', KEY_FAILOVER_CLOSED, destination)
  end
end
return 'lost'
