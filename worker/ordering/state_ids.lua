-- Under which id the state of each integration is kept: a hash of id -> text, and the number of
-- writes at '@', which is no id.
--
-- KEYS: the hash. ARGV: the task, and
--       read: nothing. Answer: fields and values, one after the other.
--       write: the number of writes before, the most fields that there may be, ids and texts. Answer:
--              whether they are written, which they are not after somebody else's write.
-- A key of another type is replaced.

local key, task = KEYS[1], ARGV[1]
if redis.call('TYPE', key).ok ~= 'hash' then
  redis.call('DEL', key)
end
if task == 'read' then
  return redis.call('HGETALL', key)
end
local text = redis.call('HMGET', key, '@')[1] or ''
local writes = #text <= 15 and string.match(text, '^%d+$') and tonumber(text) or 0
if writes ~= tonumber(ARGV[2]) then
  return 0
end
redis.call('HSET', key, '@', string.format('%.0f', writes + 1))
local most = tonumber(ARGV[3])
for i = 4, #ARGV, 2 do
  if redis.call('HLEN', key) <= most or redis.call('HMGET', key, ARGV[i])[1] then
    redis.call('HSET', key, ARGV[i], ARGV[i + 1])
  end
end
return 1
