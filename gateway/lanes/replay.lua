-- A person wants a dead letter delivered after all.
-- KEYS[1] namespace
-- ARGV[1] message id, ARGV[2] nonce of this request; repeated with it, the answer is the same
-- Returns 'ok' | 'unknown'

return revive(ARGV[1], ARGV[2])
