#!lua
-- set_limit.lua: change what a budget may spend.
-- KEYS    1 shard (hash)   2 budget (hash)
-- ARGV    1 limit_nanousd   2 version
-- Returns {"set" | "older" | "closed", seq, epoch, recorded, now_ms}
-- Errors  none of its own
-- Keeps   the limit's version never falls within an epoch. A budget that is not loaded stays so, but keeps the limit
--         as pending: whoever loads it with an older one must not put that in its place
-- Order   all checks, then all writes
-- use: own_life
if not (is_open or is_adopting) then
  return answer('closed')
end
local known = redis.call('HMGET', KEYS[2], 'epoch', 'version', 'limit')
local is_ours = tonumber(known[1]) == epoch
if is_ours and known[2] and tonumber(known[2]) > tonumber(ARGV[2]) then
  return answer('older')
end

next_seq()
if is_ours and known[3] then
  redis.call('HSET', KEYS[2], 'limit', ARGV[1], 'version', ARGV[2])
else
  if not is_ours then
    redis.call('DEL', KEYS[2])
  end
  redis.call('HSET', KEYS[2], 'epoch', int(epoch), 'pending_limit', ARGV[1], 'version', ARGV[2])
end
return answer('set')
