#!lua
-- open.lua: let calls in again, once everything of this epoch is in place.
-- KEYS    1 shard (hash)
-- ARGV    1 epoch
-- Returns {"opened" | "moved", seq, epoch, recorded, now_ms}; moved: another epoch, another server, or already open
-- Errors  none of its own
-- Keeps   only the epoch that was rebuilt is opened, on the server it was rebuilt on
-- Order   all checks, then all writes
-- use: own_life
if not is_adopting or tonumber(ARGV[1]) ~= epoch then
  return answer('moved')
end

next_seq()
redis.call('HSET', KEYS[1], 'state', 'open')
redis.call('HDEL', KEYS[1], 'began_ms')
return answer('opened')
