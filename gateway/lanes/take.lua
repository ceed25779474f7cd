-- Hand out the head of a lane that was just claimed, marked as being sent.
-- ARGV[1] lane, ARGV[2] destination, ARGV[3] token, ARGV[4] nonce of this request
-- ARGV[5..8] rates in ms: interval, burst, lane interval, lane burst (interval 0: no limit)
-- Returns {'next', …} | {'rest'} | {'void'}, see prelude/attempts.lua

local lane, destination = ARGV[1], ARGV[2]
local before = repeated_answer(lane, destination, ARGV[3], ARGV[4])
if before then return before end
local rates = { tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7]), tonumber(ARGV[8]) }
return take(lane, destination, ARGV[4], rates)
