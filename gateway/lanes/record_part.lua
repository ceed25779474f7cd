-- One part of a reply is done: note its external ids, and pick up receipts that came before them.
-- ARGV[1] lane, ARGV[2] token, ARGV[3] message id, ARGV[4] part number, ARGV[5] number of parts
-- ARGV[6] JSON list of the external ids, ARGV[7] channel
-- Returns 'ok' | 'void' (noted all the same: the part has been sent, whoever owns the lane now)

local id, part = ARGV[3], ARGV[4]
local msg = key_message(id)
if redis.call('HSETNX', msg, 'part:' .. part, ARGV[6]) == 1 then
  redis.call('HSET', msg, 'parts', ARGV[5])
  redis.call('HDEL', msg, 'uncertain')
  for _, external in ipairs(cjson.decode(ARGV[6])) do
    redis.call('SET', key_external(ARGV[7], external), id .. '#' .. part, 'EX', LEDGER)
    local parked = key_parked(ARGV[7], external)
    for _, receipt in ipairs(redis.call('LRANGE', parked, 0, -1)) do
      local told = cjson.decode(receipt)
      set_part_status(id, part, told.status, told.reason)
    end
    redis.call('DEL', parked)
  end
  set_status_from_parts(id)  -- receipts by our own part id may have come before the number of parts
end
return is_held_by(ARGV[1], ARGV[2]) and 'ok' or 'void'
