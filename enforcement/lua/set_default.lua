#!lua
-- set_default.lua: say what a first-seen customer's budget is made from, or that none is made.
-- KEYS    1 shard (hash)   2 default budget (hash: version, epoch, limit, measure, arrivals_per_hour_max, ref)
-- ARGV    1 version   2 limit_nanousd, empty = no default   3 measure   4 arrivals_per_hour_max   5 budget reference (JSON)
-- Returns {"published" | "older" | "closed", seq, epoch, recorded, now_ms}
-- Errors  none of its own
-- Keeps   the version never falls within an epoch; without a limit there is no default
-- Order   all checks, then all writes
-- use: own_life
if not (is_open or is_adopting) then
  return answer('closed')
end
local known = redis.call('HMGET', KEYS[2], 'version', 'epoch')
if tonumber(known[2]) == epoch and tonumber(known[1]) > tonumber(ARGV[1]) then
  return answer('older')
end

next_seq()
redis.call('DEL', KEYS[2])
redis.call('HSET', KEYS[2], 'version', ARGV[1], 'epoch', int(epoch))
if ARGV[2] ~= '' then
  redis.call('HSET', KEYS[2], 'limit', ARGV[2], 'measure', ARGV[3], 'arrivals_per_hour_max', ARGV[4], 'ref', ARGV[5])
end
return answer('published')
