#!lua
-- begin_load.lua: open the record of a budget that is not loaded, at the shard's present position.
-- KEYS    1 shard (hash)   2 budget (hash: opening = that position, as the seq of the last event)
-- ARGV    none
-- Returns {"opening", seq, epoch, recorded, now_ms, opening} | {"known", ..} (it is loaded) | {"closed", ..}
-- Errors  none of its own
-- Keeps   nothing is granted on it until it is loaded. Every end of a hold that still draws on it shows in its windows,
--         which begin at zero: so the load can tell whether the ledger's sum is still the whole truth
-- Order   all checks, then all writes
-- use: own_life
if not is_open then
  return answer('closed')
end
local known = redis.call('HMGET', KEYS[2], 'epoch', 'limit', 'opening')
local is_ours = known[1] == shard[3]
if is_ours and known[2] then
  return answer('known')
end
local windows, is_untouched = {}, true
if is_ours then
  local record = redis.call('HGETALL', KEYS[2])
  for place = 1, #record, 2 do
    if string.sub(record[place], 1, 2) == 's:' then
      windows[#windows + 1] = record[place]
      is_untouched = is_untouched and record[place + 1] == '0'
    end
  end
end
-- Opened before and still good: a new position would be one more for the recorder to catch up with.
if is_ours and known[3] and is_untouched then
  return answer('opening', tonumber(known[3]))
end

next_seq()
local opening = redis.call('HGET', KEYS[1], 'last_event_seq') or '0'
if not is_ours then
  redis.call('DEL', KEYS[2])
end
redis.call('PERSIST', KEYS[2])
redis.call('HSET', KEYS[2], 'epoch', int(epoch), 'opening', opening)
for _, field in ipairs(windows) do
  redis.call('HSET', KEYS[2], field, '0')
end
return answer('opening', tonumber(opening))
