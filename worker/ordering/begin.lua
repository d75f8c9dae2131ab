-- Grants a batch of users to one owner. The whole batch is atomic, and repeating it does no harm.
--
-- KEYS: for each user the hash of stamps, then the string that is there while the user is not free:
--       "OWNER LEASE" while held, empty while cooling down; its time to live says for how long.
--       While the fleet rotates its secret, the same two by the user's other digest follow.
-- ARGV: owner; number of the lease; the lease in ms; then for each user how many fields are claimed,
--       and these: the paths of attributes, and '=PATH' for the text beside a stamp.
-- Answer, for each user: {1, value or nil for each field, and again from the second hash}, or
-- {0, ms to wait, 1 if held}.
--
-- A mark (path '?', see worker/ordering/unclear_requests.py) is stored with the time at which it is over, and
-- answered with the ms that are left.
--
-- A key of another type than ours concerns its own user alone: its content counts as unknown.

local owner, lease, lease_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local answers, at = {}, 4
local STRIDE = 2 -- keys of each user; 4 during a rotation, see Script
local PORTION, LONGEST_BUSY_MS = 500, 600000
local LONGEST_BUSY_BYTES, LONGEST_STAMP_BYTES = 64, 1024
local TEXT, LONGEST_TEXT_BYTES = 61, 1048576 -- the sign '='
local UNCLEAR, LONGEST_MARK_MS = '?', 600000

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

-- A lease of the same owner with a smaller number is one whose answer got lost: an owner asks for
-- nothing that it knows it holds. One with a larger number means that this call is late itself.
local function is_forsaken(busy)
  local of, number = string.match(busy, '^(%w+) (%d+)$')
  return of == owner and tonumber(number) < lease
end

-- How long a user stays busy, in ms, and with what; nothing when it is free. What has no end, or
-- one after any lease or gap of ours, was not written by us.
local function busy_of(key)
  local busy = redis.pcall('GET', key)
  if is_other_type(busy) or not busy or #busy > LONGEST_BUSY_BYTES or is_forsaken(busy) then
    return nil
  end
  local left = redis.call('PTTL', key)
  if left < 0 or left > LONGEST_BUSY_MS then
    return nil
  end
  return left, busy
end

-- What is no mark of ours becomes an empty text, as below.
local function with_ms_left(mark)
  local time, rest = string.match(mark, '^(%d+)(.*)$')
  if not time then
    return ''
  end
  local now = redis.call('TIME')
  local left = tonumber(time) - tonumber(now[1]) * 1000 - math.floor(tonumber(now[2]) / 1000)
  return left > LONGEST_MARK_MS and '' or string.format('%.0f', left) .. rest
end

-- In portions, since Lua unpacks only some thousands of values at once.
local function add_stamps(found, size, key, first, count)
  for from = first, first + count - 1, PORTION do
    local to = math.min(from + PORTION - 1, first + count - 1)
    local some = redis.pcall('HMGET', key, unpack(ARGV, from, to))
    local is_lost = is_other_type(some)
    for j = 1, to - from + 1 do
      -- An empty text is no stamp: whoever reads it counts it as unreadable.
      local value = is_lost and '' or some[j]
      size = size + 1
      if value and #value > LONGEST_STAMP_BYTES then
        if string.byte(ARGV[from + j - 1]) ~= TEXT or #value > LONGEST_TEXT_BYTES then
          value = ''
        end
      elseif value and ARGV[from + j - 1] == UNCLEAR then
        value = with_ms_left(value)
      end
      found[size] = value
    end
  end
end

for i = 1, #KEYS, STRIDE do
  local count = tonumber(ARGV[at])
  local left, busy = busy_of(KEYS[i + 1])
  if STRIDE == 4 and not left then
    left, busy = busy_of(KEYS[i + 3])
  end
  if left then
    answers[#answers + 1] = {0, left, busy == '' and 0 or 1}
  else
    local found, size = {1}, 1
    for j = i, i + STRIDE - 1, 2 do
      redis.call('SET', KEYS[j + 1], owner .. ' ' .. ARGV[2], 'PX', lease_ms)
      add_stamps(found, size, KEYS[j], at + 1, count)
      size = size + count
    end
    answers[#answers + 1] = found
  end
  at = at + count + 1
end
return answers
