-- Random keys by month: made by whoever asks first, and gone when their time is over.
--
-- KEYS: a hash of month -> "KEY ENDS", ENDS in ms since 1970 by the clock of Redis. ARGV: a month, a
-- new key for it, and for how many ms it is kept; or nothing, to read. Answer: the key of the month,
-- or pairs of months and keys. A key of another type is replaced, and so is what can't be read.

local key = KEYS[1]
if redis.call('TYPE', key).ok ~= 'hash' then
  redis.call('DEL', key)
end
local time = redis.call('TIME')
local now = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
local kept, rows, has_old = {}, {}, false
local words = redis.call('HGETALL', key)
for i = 1, #words, 2 do
  local said, ends = string.match(words[i + 1], '^([0-9a-f]+) ([0-9]+)$')
  if said and #said == 64 and #ends <= 16 and tonumber(ends) > now then
    kept[words[i]] = said
    rows[#rows + 1] = words[i]
    rows[#rows + 1] = words[i + 1]
  else
    has_old = true
  end
end
if has_old then
  -- Anew, for who may not delete a field.
  redis.call('DEL', key)
  if #rows > 0 then
    redis.call('HSET', key, unpack(rows))
  end
end
if #ARGV == 0 then
  local pairs_of = {}
  for month, said in pairs(kept) do
    pairs_of[#pairs_of + 1] = month
    pairs_of[#pairs_of + 1] = said
  end
  return pairs_of
end
local month, life = ARGV[1], tonumber(ARGV[3])
if not kept[month] then
  kept[month] = ARGV[2]
  redis.call('HSET', key, month, ARGV[2] .. ' ' .. string.format('%.0f', now + life))
end
if redis.call('PTTL', key) < life then
  redis.call('PEXPIRE', key, string.format('%.0f', life))
end
return kept[month]
