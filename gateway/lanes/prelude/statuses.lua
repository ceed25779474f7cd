-- Statuses: what becomes of replies and their parts, and that Chatwoot is told.

local MARKED_FAILED = 'marked failed'  -- shown: Chatwoot marked a reply, and we never said so
local RANK = { failed = 1, sent = 1, delivered = 2, read = 3 }

-- Put what became of a reply into the status lane, unless Chatwoot shows it already. One of which
-- nothing is known yet is «sent» in Chatwoot, unless that has marked it. `at`: not told before.
local function queue_status(id, at)
  local known = redis.call('HMGET', key_message(id), 'status', 'shown', 'status_lane',
                           'status_destination', 'channel')
  local status = known[1] or (known[2] == MARKED_FAILED and 'sent')
  if not status or not known[3] or (known[2] or 'sent') == status then return end
  local lane, item = known[3], 's:' .. id
  if redis.call('ZSCORE', key_lane(lane), item) then return end  -- it will carry the newest status
  local given_up = redis.call('HGET', key_message(item), 'dead_letter')
  if given_up then redis.call('XDEL', KEY_DEAD_LETTERS, given_up) end
  redis.call('DEL', key_message(item))
  redis.call('HSET', key_message(item), 'v', '1', 'kind', 'status', 'subject', id, 'lane', lane,
             'channel', known[5], 'state', 'waiting', 'appended', now, 'ready', at or now,
             'destination', known[4])
  redis.call('ZADD', key_lane(lane), order_at_end(lane), item)
  make_due(lane, known[4], at or now)
end

-- Chatwoot has marked a message as failed by itself: it is told once more what became of it. If that
-- word of ours is what it cannot call us about, each further one waits twice as long.
local AT_ONCE, LONGEST_WAIT = 3, 60000
local function mark_failed(id)
  local msg = key_message(id)
  redis.call('HSET', msg, 'shown', MARKED_FAILED)
  -- While a status is being told it is not known which of the two came last.
  if redis.call('HGET', key_message('s:' .. id), 'state') == 'sending' then
    redis.call('HSET', msg, 'marked_failed', 1)
  end
  local beyond = redis.call('HINCRBY', msg, 'times_marked', 1) - AT_ONCE
  local wait = beyond > 0 and math.min(LONGEST_WAIT, 1000 * 2 ^ math.min(beyond, 10)) or 0
  queue_status(id, now + wait)
end

-- Note what became of a reply and, if Chatwoot shows something else, put it into the status lane.
-- sent < delivered < read; failed, unless it was delivered after all. `again` is set when we have
-- just delivered it ourselves: then «sent» also replaces an earlier «failed».
local function set_status(id, status, reason, again)
  local msg = key_message(id)
  local now_known = redis.call('HMGET', msg, 'status', 'status_lane', 'channel')
  local current = now_known[1]
  if not now_known[2] or current == status then return end
  if status == 'failed' then
    if current and RANK[current] > 1 then return end
  elseif current == 'failed' then
    if RANK[status] == 1 and not again then return end
  elseif current and RANK[status] <= RANK[current] then
    return
  end
  redis.call('HSET', msg, 'status', status, 'reason', reason or '')
  count('status_' .. status, now_known[3])
  queue_status(id)
end

-- The status of a reply, from those of its parts: failed if one failed, else what all have reached.
-- Nothing is told before the number of parts is known.
local function set_status_from_parts(id)
  local msg = key_message(id)
  local total = tonumber(redis.call('HGET', msg, 'parts'))
  local lowest, heard = 'read', false
  for n = 1, total or 0 do
    local got = redis.call('HGET', msg, 'receipt:' .. n)
    if got == 'failed' then return set_status(id, 'failed', redis.call('HGET', msg, 'failure')) end
    heard = heard or got
    if RANK[got or 'sent'] < RANK[lowest] then lowest = got or 'sent' end
  end
  if heard then set_status(id, lowest, '') end
end

-- Note what the network says of one part; an older word never replaces a newer one.
local function set_part_status(id, part, status, reason)
  local msg = key_message(id)
  local before = redis.call('HGET', msg, 'receipt:' .. part)
  local outranked = before and status ~= 'failed' and RANK[before] >= RANK[status]
  local late_failure = status == 'failed' and before and RANK[before] > 1
  if outranked or late_failure then return end
  redis.call('HSET', msg, 'receipt:' .. part, status)
  if status == 'failed' then redis.call('HSET', msg, 'failure', reason) end
  set_status_from_parts(id)
end

-- Parts that the network failed after it had taken them are to be sent again. What it still says of
-- the earlier attempt, under its old ids, does not count any more.
local function forget_failed_parts(id, channel)
  local msg = key_message(id)
  local known = read_hash(msg)
  for n = 1, #known, 2 do
    local part = string.match(known[n], '^receipt:(%d+)$')
    if part and known[n + 1] == 'failed' then
      for _, external in ipairs(cjson.decode(redis.call('HGET', msg, 'part:' .. part) or '[]')) do
        redis.call('SET', key_external(channel, external), 'spent', 'EX', LEDGER)
      end
      redis.call('HDEL', msg, 'receipt:' .. part, 'part:' .. part)
    end
  end
  redis.call('HDEL', msg, 'failure')
end

-- Put a message that had left its lane back into it, as new: behind what waits (a reply keeps its
-- own place).
local function put_back(id, nonce)
  local msg = key_message(id)
  local known = redis.call('HMGET', msg, 'dead_letter', 'lane', 'destination', 'kind', 'order',
                           'channel')
  local order = tonumber(known[5])
  if known[4] ~= 'out' then order = order_at_end(known[2]) end
  if known[1] then redis.call('XDEL', KEY_DEAD_LETTERS, known[1]) end
  forget_failed_parts(id, known[6])
  redis.call('HDEL', msg, 'dead_letter', 'attempts', 'crashes', 'refusals', 'refused_at', 'error',
             'first_error', 'slot')
  redis.call('HSET', msg, 'state', 'waiting', 'appended', now, 'ready', now, 'order', order,
             'replayed', nonce)
  redis.call('PERSIST', msg)
  redis.call('ZADD', key_lane(known[2]), order, id)
  make_due(known[2], known[3], now)
  count('replayed', known[6])
end
