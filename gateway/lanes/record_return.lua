-- A web process can take webhooks, which it could not for a while: what was told meanwhile nobody has
-- heard. Channels' replies wait until one look at Chatwoot is done, and networks are asked.
-- ARGV[1] token: names this return
-- ARGV[2] JSON list of {channel, destination: of its replies, look: Chatwoot's webhooks tell of them,
--         catch_up: the network can be asked}
-- ARGV[3] ms that replies wait at most, ARGV[4] ms that a look is wanted, ARGV[5] the same of asking
-- Returns 'ok'

local token = ARGV[1]

-- Replies that waited for a look which did not come about do not begin at once to wait again: while
-- one is wanted, no further return makes that longer.
local function want_look(channel, destination)
  local wanted = key_look_wanted(channel)
  if redis.call('EXISTS', wanted) == 1 then
    redis.call('SET', wanted, token, 'KEEPTTL')
  else
    redis.call('SET', wanted, token, 'PX', ARGV[4])
    redis.call('SET', key_hold(destination), token, 'PX', ARGV[3])
  end
end

for _, missed in ipairs(cjson.decode(ARGV[2])) do
  if missed.look then want_look(missed.channel, missed.destination) end
  if missed.catch_up then
    redis.call('SET', key_catch_up_wanted(missed.channel), token, 'PX', ARGV[5])
  end
end
return 'ok'
