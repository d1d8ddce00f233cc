#!lua
-- complete_customers.lua: say that the customer index holds every customer the database has.
-- KEYS    1 shard (hash)   2 customer index (hash)
-- ARGV    1 epoch under which all customers were published
-- Returns {"complete" | "moved" | "closed", seq, epoch, recorded, now_ms}; moved: another epoch began meanwhile
-- Errors  none of its own
-- Keeps   complete = epoch only where every entry was put in this epoch
-- Order   all checks, then all writes
-- use: own_life
if not (is_open or is_adopting) then
  return answer('closed')
end
if tonumber(ARGV[1]) ~= epoch then
  return answer('moved')
end

next_seq()
if tonumber(redis.call('HGET', KEYS[2], 'epoch')) ~= epoch then
  redis.call('DEL', KEYS[2])
end
redis.call('HSET', KEYS[2], 'epoch', int(epoch), 'complete', int(epoch))
return answer('complete')
