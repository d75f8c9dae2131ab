-- What each witness said when it was looked at last: a hash of its tag -> that, by which the loss of one
-- master's data shows.
--
-- KEYS: the hash. A key of another type counts as none.

if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then
  return {}
end
return redis.call('HGETALL', KEYS[1])
