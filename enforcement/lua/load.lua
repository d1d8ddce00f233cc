#!lua
-- load.lua: give a budget that is not loaded its limit and what the ledger says it has spent.
-- KEYS    1 shard (hash)   2 budget (hash)   3 usage (stream)   4 wanted (hash)
-- ARGV    1 epoch   2 limit_nanousd   3 version   4 opening ("" = the shard is being rebuilt)   5 epoch, 6 seq and 7 stream
--         id up to which the ledger is summed   8 its field in wanted   then for each window: window id, spent_nanousd
-- Returns {"loaded" | "known" | "moved" | "closed", seq, epoch, recorded, now_ms}
--         moved: the sums do not hold (any more): read the ledger again; known: it was loaded before, nothing is done
-- Errors  none of its own
-- Keeps   spent = the ledger's sum plus every event past it. A sum is put, never added, so loading twice is loading once
-- Order   all checks, then all writes
-- use: own_life
if tonumber(ARGV[1]) ~= epoch or not (is_open or is_adopting) then
  return answer('closed')
end
local known = redis.call('HMGET', KEYS[2], 'epoch', 'limit', 'version', 'pending_limit', 'opening')
local is_ours = known[1] == shard[3]
if is_ours and known[2] then
  redis.call('HDEL', KEYS[4], ARGV[8])
  return answer('known')
end

local function parts_of(stream_id)
  local ms, number = string.match(stream_id, '^(%d+)-(%d+)$')
  return tonumber(ms), tonumber(number)
end

-- While the shard is rebuilt: everything on the stream is in the sums.
local function is_all_summed()
  local last = redis.call('XREVRANGE', KEYS[3], '+', '-', 'COUNT', 1)[1]
  if not last then
    return true
  end
  local last_ms, last_number = parts_of(last[1])
  local summed_ms, summed_number = parts_of(ARGV[7])
  return last_ms < summed_ms or (last_ms == summed_ms and last_number <= summed_number)
end

-- Under traffic: the sums reach past the position the record was opened at, and no end has touched it since.
local function is_untouched()
  local is_summed = ARGV[4] == '0' or (ARGV[5] == ARGV[1] and tonumber(ARGV[6]) >= tonumber(ARGV[4]))
  if known[5] ~= ARGV[4] or not is_summed then
    return false
  end
  local record = redis.call('HGETALL', KEYS[2])
  for place = 1, #record, 2 do
    if string.sub(record[place], 1, 2) == 's:' and record[place + 1] ~= '0' then
      return false
    end
  end
  return true
end

local is_whole
if is_adopting then
  is_whole = ARGV[4] == '' and is_all_summed()
else
  is_whole = ARGV[4] ~= '' and is_ours and is_untouched()
end
if not is_whole then
  return answer('moved')
end

-- writes from here
next_seq()
if not is_ours then
  redis.call('DEL', KEYS[2])
end
redis.call('PERSIST', KEYS[2])
redis.call('HDEL', KEYS[2], 'opening', 'removed', 'pending_limit', 'dropped')
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  local kind, window = string.match(field, '^([sh]):(.*)$')
  if kind then
    redis.call('HSET', KEYS[2], 's:' .. window, '0')
  end
end
local is_newer_pending = is_ours and known[4] and tonumber(known[3] or '0') > tonumber(ARGV[3])
redis.call(
  'HSET', KEYS[2], 'epoch', int(epoch), 'limit', is_newer_pending and known[4] or ARGV[2],
  'version', is_newer_pending and known[3] or ARGV[3]
)
for place = 9, #ARGV, 2 do
  redis.call('HSET', KEYS[2], 's:' .. ARGV[place], ARGV[place + 1])
end
redis.call('HDEL', KEYS[4], ARGV[8])
return answer('loaded')
