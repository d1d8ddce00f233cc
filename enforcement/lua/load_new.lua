#!lua
-- load_new.lua: open a budget that was only just made, at zero.
-- KEYS    1 shard (hash)   2 budget (hash: epoch, version, limit; not loaded: pending_limit, opening, removed)
-- ARGV    1 limit_nanousd   2 version
-- Returns {"loaded" | "known" | "older" | "closed", seq, epoch, recorded, now_ms}
-- Errors  none of its own
-- Keeps   a budget that is loaded keeps its sums, however often this runs; one that is being loaded from the ledger is
--         left to that. While a shard is rebuilt it is closed to this call: only the ledger knows then whether a budget
--         is really new
-- Order   all checks, then all writes
-- use: own_life
if not is_open then
  return answer('closed')
end
local known = redis.call('HMGET', KEYS[2], 'epoch', 'version', 'limit', 'removed', 'pending_limit', 'opening')
local is_ours = tonumber(known[1]) == epoch
local is_later_known = is_ours and known[2] and tonumber(known[2]) > tonumber(ARGV[2])
if is_ours and known[4] and tonumber(known[2]) >= tonumber(ARGV[2]) then
  return answer('older')
end
if is_ours and (known[3] or known[6]) then
  return answer('known')
end

next_seq()
if not is_ours then
  redis.call('DEL', KEYS[2])
end
redis.call('HDEL', KEYS[2], 'opening', 'removed', 'pending_limit')
redis.call('PERSIST', KEYS[2])
if is_later_known and known[5] then
  redis.call('HSET', KEYS[2], 'limit', known[5])
else
  redis.call('HSET', KEYS[2], 'epoch', int(epoch), 'limit', ARGV[1], 'version', ARGV[2])
end
return answer('loaded')
