#!lua
-- forget.lua: take members out of the deadlines whose hold is not open, and so can never expire.
-- KEYS    1 shard (hash)   2 deadlines (zset, ms)   3.. holds (hash)
-- ARGV    none
-- Returns {"forgotten", seq, epoch, recorded, now_ms, how many}
-- Errors  none of its own
-- Keeps   an open hold always stands in the deadlines: whether it is open is asked in the same script
-- Order   one check and one write per hold, independent of each other
-- use: own_life
local forgotten = 0
next_seq()
for place = 3, #KEYS do
  local hold_state = redis.call('HGET', KEYS[place], 'state')
  if hold_state ~= 'reserved' and hold_state ~= 'dispatched' then
    forgotten = forgotten + redis.call('ZREM', KEYS[2], KEYS[place])
  end
end
return answer('forgotten', forgotten)
