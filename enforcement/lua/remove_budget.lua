#!lua
-- remove_budget.lua: take a budget away; what still draws on it is answered "not loaded".
-- KEYS    1 shard (hash)   2 budget (hash)
-- ARGV    1 version   2 how long the removal is remembered, ms
-- Returns {"removed" | "older" | "closed", seq, epoch, recorded, now_ms}
-- Errors  none of its own
-- Keeps   an older message that loads the budget finds the removal and does nothing
-- Order   all checks, then all writes
-- use: own_life
if not (is_open or is_adopting) then
  return answer('closed')
end
local known = redis.call('HMGET', KEYS[2], 'epoch', 'version')
if tonumber(known[1]) == epoch and known[2] and tonumber(known[2]) > tonumber(ARGV[1]) then
  return answer('older')
end

next_seq()
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'epoch', int(epoch), 'version', ARGV[1], 'removed', 1)
redis.call('PEXPIRE', KEYS[2], ARGV[2])
return answer('removed')
