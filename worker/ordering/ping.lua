-- Whether Redis takes a write of ours now: one that is out of memory, a read-only replica, or one that
-- can't save answers a question all the same.
--
-- KEYS: a key for nothing else. ARGV: a value, and for how many ms it stays.

return redis.call('SET', KEYS[1], ARGV[1], 'PX', ARGV[2])
