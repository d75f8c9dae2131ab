-- The epoch of the state: made where there is none, as after the loss of all data; beside it the lost
-- ones, which messages still name.
--
-- KEYS: a text for nothing else, "EPOCH BEGAN" and then for each lost epoch " EPOCH:NOTICED:ACCEPTED", in
--       the order in which they were noticed. Times are in ms since 1970 by the clock of Redis; ACCEPTED
--       is 0 until an operator has accepted the loss.
-- ARGV: the task; an epoch for a state without one; and epochs.
--       look: make an epoch if there is none; of the epochs, which were met, note those that are lost.
--       read: change nothing.
--       accept: the loss of the epochs.
--       witness: instead of epochs the change of witnesses, see redis_witnesses.py, each as its tag, what
--                it said before (empty for a new one) and what it says now; KEYS[2] is the hash of what
--                each said. Where one says another thing than before, the present epoch is lost, and
--                another one begins.
-- Answer: the text, or nil where there is none. What can't be read, or is of another type, is replaced.
--
-- Only so many are kept: whoever may publish to the queues of the workers can name any epoch.

local key, task = KEYS[1], ARGV[1]
local FIRST_EPOCH, EPOCH_CHARACTERS, MOST_DIGITS = 3, 16, 16
local MOST_OPEN, MOST_ACCEPTED, LONGEST_BYTES = 16, 64, 8192

local function now_ms()
  local time = redis.call('TIME')
  return string.format('%.0f', tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000))
end

local function stored()
  local text = redis.pcall('GET', key)
  if type(text) == 'table' and text.err then
    if not string.find(text.err, 'WRONGTYPE', 1, true) then
      error(text.err)
    end
    return ''
  end
  return text and #text <= LONGEST_BYTES and text or ''
end

local function read(text)
  local epoch, began, rest = string.match(text, '^([0-9a-f]+) ([0-9]+)(.*)$')
  if not epoch or #epoch ~= EPOCH_CHARACTERS or #began > MOST_DIGITS then
    return nil
  end
  local losses = {}
  for lost, noticed, accepted in string.gmatch(rest, ' ([0-9a-f]+):([0-9]+):([0-9]+)') do
    if #lost == EPOCH_CHARACTERS and #noticed <= MOST_DIGITS and #accepted <= MOST_DIGITS then
      local is_open = tonumber(accepted) == 0
      losses[#losses + 1] = {epoch = lost, noticed = noticed, accepted = is_open and '0' or accepted}
    end
  end
  return {epoch = epoch, began = began, losses = losses}
end

local function written(state)
  local words = {state.epoch, state.began}
  for _, loss in ipairs(state.losses) do
    words[#words + 1] = loss.epoch .. ':' .. loss.noticed .. ':' .. loss.accepted
  end
  return table.concat(words, ' ')
end

local function find(losses, epoch)
  for _, loss in ipairs(losses) do
    if loss.epoch == epoch then
      return loss
    end
  end
end

local function count_open(losses)
  local open = 0
  for _, loss in ipairs(losses) do
    if loss.accepted == '0' then
      open = open + 1
    end
  end
  return open
end

local function note(state, epoch)
  local losses = state.losses
  if epoch ~= state.epoch and not find(losses, epoch) and count_open(losses) < MOST_OPEN then
    losses[#losses + 1] = {epoch = epoch, noticed = now_ms(), accepted = '0'}
  end
end

local function accept(state, epoch)
  local loss = find(state.losses, epoch)
  if loss and loss.accepted == '0' then
    loss.accepted = now_ms()
  end
end

local function forget_oldest_accepted(losses)
  local too_many = #losses - count_open(losses) - MOST_ACCEPTED
  local at = 1
  while too_many > 0 do
    if losses[at].accepted == '0' then
      at = at + 1
    else
      table.remove(losses, at)
      too_many = too_many - 1
    end
  end
end

-- What differs from `before` in the hash was told by somebody else meanwhile. What is none of ours there
-- counts as nothing.
local function note_witnesses()
  local table_key, is_lost = KEYS[2], false
  if redis.call('TYPE', table_key).ok ~= 'hash' then
    redis.call('DEL', table_key)
  end
  for i = FIRST_EPOCH, #ARGV, 3 do
    local before = redis.call('HMGET', table_key, ARGV[i])[1] or ''
    if #before ~= EPOCH_CHARACTERS or not string.match(before, '^[0-9a-f]+$') then
      before = ''
    end
    if before == ARGV[i + 1] then
      redis.call('HSET', table_key, ARGV[i], ARGV[i + 2])
      is_lost = is_lost or before ~= ''
    end
  end
  return is_lost
end

local before = stored()
local state = read(before)
if task == 'witness' and note_witnesses() and state then
  local lost = state.epoch
  state = {epoch = ARGV[2], began = now_ms(), losses = state.losses}
  note(state, lost)
end
if not state and (task == 'look' or task == 'witness') then
  state = {epoch = ARGV[2], began = now_ms(), losses = {}}
end
if not state then
  return nil
end
for i = FIRST_EPOCH, #ARGV do
  if task == 'look' then
    note(state, ARGV[i])
  elseif task == 'accept' then
    accept(state, ARGV[i])
  end
end
forget_oldest_accepted(state.losses)
local after = written(state)
if after ~= before and task ~= 'read' then
  redis.call('SET', key, after)
end
return after
