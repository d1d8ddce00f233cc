#!lua flags=allow-oom
-- adopt.lua: take an open hold over into this epoch, from the proxy that owns it.
-- KEYS    1 shard (hash)   2 deadlines (zset, ms)   3 hold (hash)   4.. budgets (hash), in the order of the hold's draws;
--         in-flight limits (zset)
-- ARGV    1 run_id   2 epoch   3 hold_id   4 state (reserved | dispatched)   5 attempt   6 lease_ms   7 cost_nanousd
--         8 charge_nanousd   9 output_cap   10 request_id   11 tenant_id   12 mode   13 draws   14 flights ("limit_a,…")
--         15 idempotency digest ("" = none)   16 body
-- Returns {"adopted" | "known", .., deadline_ms} | {"ended", .., state} | {"closed", ..}
--         known: it was of this epoch already (adopted or carried) and is renewed; ended: it may not be opened again
-- Errors  HOLDKEYS  the declared keys are not those of the hold
-- Keeps   held = sum of this epoch's open holds; a hold is counted once, however often it is adopted
-- Order   all checks, then all writes
-- use: opening
-- use: hold
-- use: draws
-- use: standing

if not is_ending_allowed then
  return answer('closed')
end
local hold = read_hold(KEYS[3])
if hold and not hold.is_open then
  return answer('ended', hold.state)
end
local is_known = hold and hold.is_of_epoch
local draws = read_draws(is_known and hold.draws or ARGV[13], 4)
if not draws then
  return redis.error_reply('HOLDKEYS the budgets declared are not those of the hold')
end

-- writes from here
next_seq()
local deadline_ms = now_ms + tonumber(ARGV[6])
local is_sent = ARGV[4] == 'dispatched' or (hold and hold.state == 'dispatched')
redis.call('HSET', KEYS[3], 'state', is_sent and 'dispatched' or 'reserved', 'deadline', int(deadline_ms))
redis.call('ZADD', KEYS[2], int(deadline_ms), KEYS[3])
for place = 4 + #draws, #KEYS do
  redis.call('ZADD', KEYS[place], int(deadline_ms), ARGV[3])
end
if is_known then
  return answer('known', deadline_ms)
end
redis.call(
  'HSET', KEYS[3], 'epoch', int(epoch), 'attempt', ARGV[5], 'cost', ARGV[7], 'charge', ARGV[8], 'cap', ARGV[9],
  'request', ARGV[10], 'tenant', ARGV[11], 'mode', ARGV[12], 'draws', ARGV[13], 'flight', ARGV[14], 'idem', ARGV[15],
  'body', ARGV[16]
)
stand(draws, { cost = tonumber(ARGV[7]), charge = tonumber(ARGV[8]) })
return answer('adopted', deadline_ms)
