-- What the network says became of a part. One that is not known yet waits a day for its id.
-- ARGV[1] channel, ARGV[2] external id or '', ARGV[3] our own part id («message#part») or ''
-- ARGV[4] status, ARGV[5] reason
-- Returns 'noted' | 'parked'

local PARKED = DAY  -- seconds that a receipt waits for its message's id
local own = ARGV[3]
local by_name = ARGV[2] ~= '' and redis.call('GET', key_external(ARGV[1], ARGV[2]))
if by_name == 'spent' then return 'noted' end  -- of an attempt before an agent pressed Retry
if own == '' then own = by_name or '' end
local id, part = string.match(own, '^(.*)#(%d+)$')
if id and redis.call('HGET', key_message(id), 'channel') == ARGV[1] then
  set_part_status(id, part, ARGV[4], ARGV[5])
  count('receipts', ARGV[1])
  return 'noted'
end
if ARGV[2] ~= '' then
  local parked = key_parked(ARGV[1], ARGV[2])
  local told = cjson.encode({ status = ARGV[4], reason = ARGV[5] })
  redis.call('LREM', parked, 0, told)
  redis.call('RPUSH', parked, told)
  redis.call('LTRIM', parked, -20, -1)
  redis.call('EXPIRE', parked, PARKED)
end
count('receipts_parked', ARGV[1])
return 'parked'
