#!lua flags=allow-oom
-- correct.lua: book what a person found out about a hold that expired unresolved, as its first correction.
-- KEYS    1 shard (hash)   2 usage (stream)   3 hold (hash)   4.. budgets (hash), in the order of the draws
-- ARGV    1 hold_id   2 tenant_id   3 mode   4 draws   5 booked_cost_nanousd   6 booked_charge_nanousd: as expired
--         7 cost_nanousd   8 charge_nanousd: what it is to be   9 basis   10 body   11 tombstone_ms
-- Returns {"corrected", ..} | {"moved", ..} (its end came, or somebody was faster) | {"closed", ..}
--         ".." is seq, epoch, recorded, now_ms
-- Errors  HOLDKEYS  the declared keys are not those of the draws
-- Keeps   spent moves with exactly one event; a later end of the hold corrects from what is booked now
-- Order   all checks, then all writes
-- use: own_life
-- use: hold
-- use: draws
-- use: event

if not (is_open or is_adopting) then
  return answer('closed')
end
local hold_id = ARGV[1]
local booked = { cost = tonumber(ARGV[5]), charge = tonumber(ARGV[6]) }
local amounts = { cost = tonumber(ARGV[7]), charge = tonumber(ARGV[8]) }
local hold = read_hold(KEYS[3])
-- Without a record (its tombstone has gone) the ledger's word stands: expired, and not corrected.
if hold and (hold.state ~= 'expired' or hold.corrections ~= 0 or hold.booked.charge ~= booked.charge) then
  return answer('moved')
end
local draws = read_draws(ARGV[4], 4)
if not draws then
  return redis.error_reply('HOLDKEYS the budgets declared are not those of the draws')
end

-- writes from here
next_seq()
local event = {
  hold_id = hold_id, kind = 'correction', number = 0, corrects = hold_id .. '.expired.0', basis = ARGV[9],
  tenant_id = ARGV[2], mode = ARGV[3], cost = amounts.cost - booked.cost, charge = amounts.charge - booked.charge,
  draws = ARGV[4], body = ARGV[10],
}
book(draws, false, nil, event)
append_event(KEYS[2], event)
redis.call('HSET', KEYS[1], 'last_event_seq', int(seq))
if not hold then
  redis.call(
    'HSET', KEYS[3], 'epoch', int(epoch), 'deadline', '0', 'cost', int(booked.cost), 'charge', int(booked.charge),
    'tenant', ARGV[2], 'mode', ARGV[3], 'draws', ARGV[4], 'idem', ''
  )
end
redis.call(
  'HSET', KEYS[3], 'state', 'expired', 'end_cost', int(amounts.cost), 'end_charge', int(amounts.charge),
  'corrections', '1', 'ended_ms', int(now_ms)
)
redis.call('PEXPIRE', KEYS[3], ARGV[11])
return answer('corrected')
