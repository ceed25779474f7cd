-- Write the dead letters anew: of an entry that was deleted, a stream keeps the bytes until those
-- beside it are deleted as well.
-- Returns how many there are

local entries = redis.call('XRANGE', KEY_DEAD_LETTERS, '-', '+')
redis.call('DEL', KEY_DEAD_LETTERS)
for _, entry in ipairs(entries) do
  redis.call('XADD', KEY_DEAD_LETTERS, entry[1], unpack(entry[2]))
end
return #entries
