#!lua flags=allow-oom
-- dispatched.lua: mark a hold before the first upstream byte; from now on its expiry costs the quote.
-- KEYS    1 shard (hash)   2 deadlines (zset, ms)   3 hold (hash)   4.. in-flight limits (zset)
-- ARGV    1 run_id   2 epoch   3 hold_id   4 attempt   5 lease_ms
-- Returns {"dispatched", .., deadline_ms} (also when repeated by the same attempt) | {"gone", .., state} | {"closed", ..}
-- Errors  none
-- Keeps   only the attempt that reserved may send, and only while the hold stands in this epoch
-- Order   all checks, then all writes
-- use: opening
-- use: hold

if not is_ending_allowed then
  return answer('closed')
end
local hold = read_hold(KEYS[3])
if not hold then
  return answer('gone', 'absent')
end
if not hold.is_open or not hold.is_of_epoch or hold.attempt ~= ARGV[4] then
  return answer('gone', hold.state)
end

-- writes from here
next_seq()
local deadline_ms = now_ms + tonumber(ARGV[5])
redis.call('HSET', KEYS[3], 'state', 'dispatched', 'deadline', int(deadline_ms))
redis.call('ZADD', KEYS[2], int(deadline_ms), KEYS[3])
for place = 4, #KEYS do
  redis.call('ZADD', KEYS[place], 'XX', int(deadline_ms), ARGV[3])
end
return answer('dispatched', deadline_ms)
