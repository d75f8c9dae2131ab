-- Forgets the stamps of one user, and leaves that what is older is erased. Repeating it does no harm.
--
-- KEYS: the hash of stamps, and that of the user's other digest while the fleet rotates its secret.
-- ARGV: the path of the tombstone; its stamp; the ms for which it is kept.
--
-- The later of two tombstones stays. A key of another type than ours is replaced.

local path, stamp, kept_ms = ARGV[1], ARGV[2], ARGV[3]

local function time(text)
  return tonumber(string.match(text, '^(%d+)') or '0')
end

for _, key in ipairs(KEYS) do
  local known = redis.pcall('HMGET', key, path)
  if type(known) == 'table' and known.err then
    if not string.find(known.err, 'WRONGTYPE', 1, true) then
      error(known.err)
    end
    known = {}
  end
  local latest = stamp
  if known[1] and #known[1] < 64 and time(known[1]) > time(stamp) then
    latest = known[1]
  end
  redis.call('DEL', key)
  redis.call('HSET', key, path, latest)
  redis.call('PEXPIRE', key, kept_ms)
end
return {}
