#!lua flags=allow-oom
-- bury.lua: write the tombstone of a hold that the ledger knows to have ended, unless Redis knows that as well.
-- KEYS    1 shard (hash)   2 deadlines (zset, ms)   3 hold (hash)   4.. budgets (hash), in the order of the draws;
--         idempotency (hash), if any
-- ARGV    1 epoch   2 state (settled | released | expired)   3 cost_nanousd   4 charge_nanousd   5 corrections
--         6 tenant_id   7 mode   8 draws   9 tombstone_ms   10 hold_id
-- Returns {"buried" | "known" | "moved", seq, epoch, recorded, now_ms}; known: it had ended here, or draws on others
-- Errors  none of its own
-- Keeps   a hold that the ledger has a row for is not open, so it cannot be booked a second time: also one that a
--         proxy which slept through its expiry has adopted into this epoch; what it holds is given back
-- Order   all checks, then all writes
-- use: own_life
-- use: hold
-- use: draws
-- use: idempotency

if not is_adopting or tonumber(ARGV[1]) ~= epoch then
  return answer('moved')
end
local hold = read_hold(KEYS[3])
if hold and not hold.is_open then
  return answer('known')
end
local draws = {}
if hold and hold.is_of_epoch then
  draws = read_draws(hold.draws, 4)
  if not draws then
    return answer('known')
  end
end

next_seq()
if hold then
  book(draws, true, hold.held, { cost = 0, charge = 0 })
end
redis.call('ZREM', KEYS[2], KEYS[3])
redis.call(
  'HSET', KEYS[3], 'state', ARGV[2], 'epoch', int(epoch), 'end_cost', ARGV[3], 'end_charge', ARGV[4],
  'corrections', ARGV[5], 'tenant', ARGV[6], 'mode', ARGV[7], 'draws', ARGV[8], 'cost', ARGV[3], 'charge', ARGV[4],
  'ended_ms', int(now_ms)
)
redis.call('HDEL', KEYS[3], 'body')
redis.call('PEXPIRE', KEYS[3], ARGV[9])
if hold then
  local _, draws_count = string.gsub(ARGV[8], '[^,]+', '')
  close_open(hold.idem, ARGV[10], KEYS[4 + draws_count], ARGV[2] ~= 'released' and tonumber(ARGV[3]) or nil)
end
return answer('buried')
