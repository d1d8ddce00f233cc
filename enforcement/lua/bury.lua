#!lua flags=allow-oom
-- bury.lua: write the tombstone of a hold that the ledger knows to have ended, unless this epoch knows better.
-- KEYS    1 shard (hash)   2 deadlines (zset, ms)   3 hold (hash)
-- ARGV    1 epoch   2 state (settled | released | expired)   3 cost_nanousd   4 charge_nanousd   5 corrections
--         6 tenant_id   7 mode   8 draws   9 tombstone_ms
-- Returns {"buried" | "known" | "moved", seq, epoch, recorded, now_ms}; known: this epoch has the hold, or it had ended
-- Errors  none of its own
-- Keeps   a hold that the ledger has a row for is never open again, so it cannot be booked a second time
-- Order   all checks, then all writes
-- use: own_life

if not is_adopting or tonumber(ARGV[1]) ~= epoch then
  return answer('moved')
end
local known = redis.call('HMGET', KEYS[3], 'state', 'epoch')
local is_open = known[1] == 'reserved' or known[1] == 'dispatched'
if known[1] and (not is_open or known[2] == shard[3]) then
  return answer('known')
end

next_seq()
redis.call('ZREM', KEYS[2], KEYS[3])
redis.call(
  'HSET', KEYS[3], 'state', ARGV[2], 'epoch', int(epoch), 'end_cost', ARGV[3], 'end_charge', ARGV[4],
  'corrections', ARGV[5], 'tenant', ARGV[6], 'mode', ARGV[7], 'draws', ARGV[8], 'cost', ARGV[3], 'charge', ARGV[4],
  'ended_ms', int(now_ms)
)
redis.call('HDEL', KEYS[3], 'body')
redis.call('PEXPIRE', KEYS[3], ARGV[9])
return answer('buried')
