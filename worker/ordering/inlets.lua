-- What is known of the integrations' inlets: a hash of id -> text.
--
-- KEYS: the hash. ARGV: the task, and
--       keep: the most fields that there may be, an id and a text.
--       kept: ids. Answer: their texts in that order, nil where there is none.
-- A key of another type is replaced.

if redis.call('TYPE', KEYS[1]).ok ~= 'hash' then
  redis.call('DEL', KEYS[1])
end
if ARGV[1] == 'kept' then
  return redis.call('HMGET', KEYS[1], unpack(ARGV, 2))
end
local has_room = redis.call('HLEN', KEYS[1]) < tonumber(ARGV[2])
if has_room or redis.call('HMGET', KEYS[1], ARGV[3])[1] then
  redis.call('HSET', KEYS[1], ARGV[3], ARGV[4])
end
return {}
