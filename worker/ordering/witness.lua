-- A witness of the data of one master: what it says, made where there is none, as after the loss of
-- all data of that master.
--
-- KEYS: a text for nothing else. ARGV: what a new one says. What is no text of ours is replaced.

local said = redis.pcall('GET', KEYS[1])
if type(said) == 'table' and said.err then
  if not string.find(said.err, 'WRONGTYPE', 1, true) then
    error(said.err)
  end
  said = false
end
if said and #said == 16 and string.match(said, '^[0-9a-f]+$') then
  return said
end
redis.call('SET', KEYS[1], ARGV[1])
return ARGV[1]
