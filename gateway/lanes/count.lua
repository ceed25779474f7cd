-- More of what is counted. A script, so that it is counted in a full Redis too.
-- ARGV what|channel, how many, what|channel, how many …
-- Returns 'ok'

for n = 1, #ARGV, 2 do redis.call('HINCRBY', KEY_COUNTS, ARGV[n], ARGV[n + 1]) end
return 'ok'
