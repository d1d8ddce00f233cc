#!lua
-- unload.lua: take a loaded budget out of force, so that it is loaded from the ledger again.
-- KEYS    1 shard (hash)   2 budget (hash)   3 wanted (hash)
-- ARGV    1 its field in wanted
-- Returns {"unloaded" | "not_loaded" | "closed", seq, epoch, recorded, now_ms}
-- Errors  none of its own
-- Keeps   nothing is granted on it until it is loaded. What is held stays held; the limit in force stays as pending, so
--         that a load with an older one does not put that in its place
-- Order   all checks, then all writes
-- use: own_life
if not is_open then
  return answer('closed')
end
local known = redis.call('HMGET', KEYS[2], 'epoch', 'limit')
if known[1] ~= shard[3] or not known[2] then
  return answer('not_loaded')
end

next_seq()
redis.call('HSET', KEYS[2], 'pending_limit', known[2])
redis.call('HDEL', KEYS[2], 'limit', 'opening')
redis.call('HSET', KEYS[3], ARGV[1], int(now_ms))
return answer('unloaded')
