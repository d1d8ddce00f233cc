#!lua flags=no-writes
-- read_budgets.lua: read budgets as they stand at one position of their shard.
-- KEYS    1 shard (hash)   2.. budgets (hash)
-- ARGV    none
-- Returns {"read", seq, epoch, recorded, now_ms, last_event_seq, {field, value, …} per budget} (empty = not loaded)
--         | {"closed", ..}; a recorder at last_event_seq has booked everything the sums hold
-- Errors  none of its own
-- Keeps   all sums and seq are of one instant: no other script runs in between
-- Order   reads only
-- use: own_life
if not (is_open or is_adopting) then
  return answer('closed')
end
local reply = answer('read', tonumber(redis.call('HGET', KEYS[1], 'last_event_seq') or '0'))
for place = 2, #KEYS do
  local known = redis.call('HMGET', KEYS[place], 'epoch', 'limit')
  local is_loaded = tonumber(known[1]) == epoch and known[2]
  reply[#reply + 1] = is_loaded and redis.call('HGETALL', KEYS[place]) or {}
end
return reply
