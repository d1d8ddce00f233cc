#!lua
-- begin_load.lua: open the record of a budget that is not loaded, at the shard's present position.
-- KEYS    1 shard (hash)   2 budget (hash: opening = that position)
-- ARGV    none
-- Returns {"opening" | "known" | "closed", seq, epoch, recorded, now_ms}; known: it is loaded
-- Errors  none of its own
-- Keeps   nothing is granted on it until it is loaded. Every end of a hold that still draws on it shows in its windows,
--         which begin at zero: so the load can tell whether the ledger's sum is still the whole truth
-- Order   all checks, then all writes
-- use: own_life
if not is_open then
  return answer('closed')
end
local known = redis.call('HMGET', KEYS[2], 'epoch', 'limit')
local is_ours = known[1] == shard[3]
if is_ours and known[2] then
  return answer('known')
end

next_seq()
if not is_ours then
  redis.call('DEL', KEYS[2])
end
redis.call('PERSIST', KEYS[2])
redis.call('HSET', KEYS[2], 'epoch', int(epoch), 'opening', int(seq))
local fields = redis.call('HKEYS', KEYS[2])
for _, field in ipairs(fields) do
  if string.sub(field, 1, 2) == 's:' then
    redis.call('HSET', KEYS[2], field, '0')
  end
end
return answer('opening')
