-- Grants a batch of users to one owner. The whole batch is atomic, and repeating it does no harm.
--
-- KEYS: for each user the hash of stamps, then the string that is there while the user is not free:
--       "OWNER LEASE" while held, empty while cooling down; its time to live says for how long.
-- ARGV: owner; number of the lease; the lease in ms; then for each user how many attributes are
--       claimed, and their paths.
-- Answer, for each user: {1, stamp or nil for each attribute}, or {0, ms to wait, 1 if held}.

local owner, lease, lease_ms = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local answers, at = {}, 4

-- A lease of the same owner with a smaller number is one whose answer got lost: an owner asks for
-- nothing that it knows it holds. One with a larger number means that this call is late itself.
local function is_forsaken(busy)
  local of, number = string.match(busy, '^(%w+) (%d+)$')
  return of == owner and tonumber(number) < lease
end

for i = 1, #KEYS, 2 do
  local count = tonumber(ARGV[at])
  local busy = redis.call('GET', KEYS[i + 1])
  if busy and not is_forsaken(busy) then
    answers[#answers + 1] = {0, redis.call('PTTL', KEYS[i + 1]), busy == '' and 0 or 1}
  else
    redis.call('SET', KEYS[i + 1], owner .. ' ' .. ARGV[2], 'PX', lease_ms)
    local answer = {}
    if count > 0 then
      answer = redis.call('HMGET', KEYS[i], unpack(ARGV, at + 1, at + count))
    end
    table.insert(answer, 1, 1)
    answers[#answers + 1] = answer
  end
  at = at + count + 1
end
return answers
