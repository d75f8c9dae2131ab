-- Ends leases and writes stamps. The whole batch is atomic, and repeating it does no harm.
--
-- KEYS: as in begin.lua.
-- ARGV: owner; gap in ms; retention in ms; the latest time that a stamp can have, in ms since the
--       epoch; then for each user the number of the lease, flags, how many stamps follow, and for each
--       its path and the stamp; and its text, empty for none, if there are texts. Flags: 1 if anything
--       was sent, 2 if nothing of the user expires, 4 if there are texts, 8 if the stamps are to be
--       written only where something of the user is there: else all was lost since the grant.
--
-- The text beside a stamp is at '=PATH'. It is written when its stamp is, or stands already.
--
-- The stamp of a mark (path '?', see worker/ordering/unclear_requests.py) comes with the ms for which it holds,
-- and is stored with the time at which it is over. It is added to the one that is there: a call that is late, or
-- repeated because its answer got lost, does not know what was marked meanwhile.
--
-- What is there and can't be read, or is of another type than ours, is replaced. What stands under a
-- user's other digest moves to the first one.

local owner, gap_ms, retention_ms, latest_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
local at = 5
local STRIDE = 2 -- keys of each user; 4 during a rotation, see Script
local PORTION, LONGEST_STAMP_BYTES, MOST_FIELDS = 500, 1024, 5000
local UNCLEAR, ERASED, TEXT = '?', '!', 61 -- the sign '='
local RECENT_MS = 86400000
local LASTING_MS = '3153600000000' -- a hundred years: to persist a key needs a right of its own

-- Only another type concerns the key alone. Any other error (rights, memory) concerns the whole
-- store: to take it for "nothing is known" would let an older choice replace a newer one.
local function is_other_type(reply)
  if type(reply) ~= 'table' or not reply.err then
    return false
  end
  if not string.find(reply.err, 'WRONGTYPE', 1, true) then
    error(reply.err)
  end
  return true
end

-- The parts of an encoded stamp (worker/ordering/newest_fold.py).
local function parts(stamp)
  local time, rest = string.match(stamp, '^(-?%d+)(.*)$')
  local updated = string.match(rest, '^%.(-?%d+)')
  if updated then
    rest = string.sub(rest, #updated + 2)
  end
  return tonumber(time), tonumber(updated or 0), string.sub(rest, 1, 1), string.sub(rest, 2)
end

-- Exactly what Stamp.decode reads: a value that only one of the two can read would count as unknown
-- and yet never be replaced.
local function is_readable(stamp)
  if #stamp > LONGEST_STAMP_BYTES then
    return false
  end
  local time, rest = string.match(stamp, '^(-?%d+)(.*)$')
  if not time or #string.gsub(time, '-', '') > 16 or tonumber(time) > latest_ms then
    return false
  end
  local updated = string.match(rest, '^%.(-?%d+)[n+]')
  if updated then
    return #string.gsub(updated, '-', '') <= 16
  end
  return string.match(rest, '^[n+]') ~= nil
end

-- Byte by byte: Lua's own < compares by the locale that the server was started with.
local function is_greater(a, b)
  for i = 1, math.min(#a, #b) do
    local x, y = string.byte(a, i), string.byte(b, i)
    if x ~= y then
      return x > y
    end
  end
  return #a > #b
end

local function is_newer(a, b)
  local a_time, a_updated, a_mark, a_id = parts(a)
  local b_time, b_updated, b_mark, b_id = parts(b)
  if a_time ~= b_time then
    return a_time > b_time
  end
  if a_updated ~= b_updated then
    return a_updated > b_updated
  end
  if a_mark ~= b_mark then
    return a_mark == 'n'
  end
  return is_greater(a_id, b_id)
end

-- Until when the choices of a user are erased, by the tombstone; nil without one.
local function erased_until(key)
  local known = redis.pcall('HMGET', key, ERASED)
  if is_other_type(known) or not known[1] or not is_readable(known[1]) then
    return nil
  end
  return (parts(known[1]))
end

local function latest(stamp)
  local time, updated = parts(stamp)
  return math.max(time, updated)
end

-- Of the stamps to write, as `left_after_erasure` in worker/ordering/erased_choices.py has it.
local function is_any_since(first, count, width, erased_ms)
  for i = 0, count - 1 do
    local at_path = first + width * i
    if ARGV[at_path] ~= UNCLEAR and latest(ARGV[at_path + 1]) > erased_ms then
      return true
    end
  end
  return false
end

local function is_erased(stamp, erased_ms, is_since)
  local latest_of_it = latest(stamp)
  if latest_of_it > 0 then
    return latest_of_it <= erased_ms
  end
  return parts(stamp) == 0 and not is_since
end

local function now_in_ms()
  local now = redis.call('TIME')
  return tonumber(now[1]) * 1000 + math.floor(tonumber(now[2]) / 1000)
end

local function with_end(mark)
  local ms, rest = string.match(mark, '^(-?%d+)(.*)$')
  return string.format('%.0f', now_in_ms() + tonumber(ms)) .. rest
end

-- Which choice of its moment a mark means, and the oldest moment that it knows of.
local function named(id, moment)
  local at_since = string.find(id, '@', 1, true)
  if not at_since then
    return id, moment
  end
  local since = string.sub(id, at_since + 1)
  local is_number = string.match(since, '^-?%d+$') and #string.gsub(since, '-', '') <= 16
  return string.sub(id, 1, at_since - 1), is_number and tonumber(since) or moment
end

-- As `added` in worker/ordering/unclear_requests.py, of two marks with their ends.
local function added(mark, known)
  local ends, moment, sign, id = parts(mark)
  local known_ends, known_moment, known_sign, known_id = parts(known)
  local left_ms = known_ends - now_in_ms()
  if left_ms <= -RECENT_MS then
    return mark
  end
  local which, since = named(id, moment)
  local known_which, known_since = named(known_id, known_moment)
  if left_ms > 0 then
    if known_moment == moment and known_which ~= which then
      which = ''
    elseif known_moment < moment then
      moment, which = known_moment, known_which
    end
    ends = math.max(ends, known_ends)
    sign = (sign == 'n' or known_sign == 'n') and 'n' or '+'
  end
  since = math.min(since, known_since)
  local both = string.format('%.0f', ends)
  if moment ~= 0 then
    both = both .. '.' .. string.format('%.0f', moment)
  end
  both = both .. sign .. which
  if since < moment then
    both = both .. '@' .. string.format('%.0f', since)
  end
  return #both <= LONGEST_STAMP_BYTES and both or mark
end

-- A text that is taken away stays as an empty one: to delete a field needs a right of its own.
local function add_text(fields, key, path, text)
  local field = '=' .. path
  if text ~= '' or redis.call('HMGET', key, field)[1] then
    fields[#fields + 1] = field
    fields[#fields + 1] = text
  end
end

local function write_some(key, first, count, width, erased_ms, is_since)
  local paths = {}
  for i = 0, count - 1 do
    paths[#paths + 1] = ARGV[first + width * i]
  end
  local known, newer = redis.pcall('HMGET', key, unpack(paths)), {}
  if is_other_type(known) then
    redis.call('DEL', key)
    known = {}
  end
  for i, path in ipairs(paths) do
    local at_stamp = first + width * (i - 1) + 1
    local stamp = ARGV[at_stamp]
    if path == UNCLEAR then
      stamp = with_end(stamp)
      if known[i] and is_readable(known[i]) then
        stamp = added(stamp, known[i])
        known[i] = nil -- what was known is in it
      end
    end
    if erased_ms and path ~= UNCLEAR and is_erased(stamp, erased_ms, is_since) then
      known[i] = nil -- nothing is written, its text neither
    elseif not known[i] or not is_readable(known[i]) or is_newer(stamp, known[i]) then
      newer[#newer + 1] = path
      newer[#newer + 1] = stamp
      known[i] = stamp
    end
    if width == 3 and known[i] == stamp then
      add_text(newer, key, path, ARGV[at_stamp + 1])
    end
  end
  if #newer > 0 then
    redis.call('HSET', key, unpack(newer))
  end
end

-- In portions, since Lua unpacks only some thousands of values at once.
local function write(key, first, count, width, kept_ms)
  local erased_ms = erased_until(key)
  local is_since = erased_ms and is_any_since(first, count, width, erased_ms)
  for from = 0, count - 1, PORTION do
    local some = math.min(PORTION, count - from)
    write_some(key, first + width * from, some, width, erased_ms, is_since)
  end
  -- A tombstone is kept for longer.
  if redis.call('PTTL', key) < tonumber(kept_ms) then
    redis.call('PEXPIRE', key, kept_ms)
  end
end

-- A hash that is larger than any of ours stays where it is, and is read there.
local function move(from, to)
  local size = redis.pcall('HLEN', from)
  if is_other_type(size) or size == 0 or size > MOST_FIELDS then
    return
  end
  local there, texts = redis.call('HGETALL', from), {}
  for at_path = 1, #there, 2 do
    if string.byte(there[at_path]) == TEXT then
      texts[string.sub(there[at_path], 2)] = there[at_path + 1]
    end
  end
  for at_path = 1, #there, 2 do
    local path, stamp = there[at_path], there[at_path + 1]
    local known = redis.pcall('HMGET', to, path)
    if is_other_type(known) then
      redis.call('DEL', to)
      known = {}
    end
    if string.byte(path) ~= TEXT and is_readable(stamp) then
      if path == UNCLEAR and known[1] and is_readable(known[1]) then
        stamp, known[1] = added(stamp, known[1]), nil
      end
      if not known[1] or not is_readable(known[1]) or is_newer(stamp, known[1]) then
        local fields = {path, stamp}
        add_text(fields, to, path, texts[path] or '')
        redis.call('HSET', to, unpack(fields))
      end
    end
  end
  local left = redis.call('PTTL', from)
  if left < 0 then
    left = tonumber(retention_ms)
  end
  if redis.call('PTTL', to) < left then
    redis.call('PEXPIRE', to, left)
  end
  redis.call('DEL', from)
end

local function is_missing(key)
  local size = redis.pcall('HLEN', key)
  return not is_other_type(size) and size == 0
end

local function release(key, lease, is_sent)
  local busy = redis.pcall('GET', key)
  if is_other_type(busy) then
    busy = false
  end
  local is_ours = busy == owner .. ' ' .. lease
  if is_sent and gap_ms > 0 and (is_ours or not busy or busy == '') then
    redis.call('SET', key, '', 'PX', gap_ms)
  elseif is_ours then
    redis.call('DEL', key)
  end
end

for i = 1, #KEYS, STRIDE do
  local lease, flags, count = ARGV[at], tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2])
  local is_sent, lasts, has_texts = flags % 2 == 1, flags % 4 >= 2, flags % 8 >= 4
  local is_part = flags >= 8
  local width = has_texts and 3 or 2
  if STRIDE == 4 then
    move(KEYS[i + 2], KEYS[i])
  end
  if count > 0 and not (is_part and is_missing(KEYS[i])) then
    write(KEYS[i], at + 3, count, width, lasts and LASTING_MS or retention_ms)
  end
  at = at + 3 + width * count
  for j = i, i + STRIDE - 1, 2 do
    release(KEYS[j + 1], lease, is_sent)
  end
end
