-- Integrations that are remembered for a time: a sorted set by the end of that, in seconds.
--
-- KEYS: the set. ARGV: for how many ms, at most how many, and the integrations, of which there may
-- be none. Answer: those that are remembered now. A key of another type is replaced.

local now = tonumber(redis.call('TIME')[1])
if redis.call('TYPE', KEYS[1]).ok ~= 'zset' then
  redis.call('DEL', KEYS[1])
end
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
if #ARGV == 2 then
  return redis.call('ZRANGE', KEYS[1], 0, -1)
end
local for_seconds = math.ceil(tonumber(ARGV[1]) / 1000)
for i = 3, #ARGV do
  redis.call('ZADD', KEYS[1], now + for_seconds, ARGV[i])
end
redis.call('ZREMRANGEBYRANK', KEYS[1], 0, -tonumber(ARGV[2]) - 1)
if redis.call('TTL', KEYS[1]) < for_seconds then
  redis.call('EXPIRE', KEYS[1], for_seconds)
end
return {}
