#!lua flags=allow-oom
-- settle.lua: replace a hold by what its call cost; after an expiry, correct the books by the difference.
-- KEYS    1 shard (hash)   2 deadlines (zset, ms)   3 usage (stream)   4 dead letters (stream)   5 hold (hash)
--         6.. budgets (hash), in the order of the hold's draws; in-flight limits (zset); idempotency (hash), if any
-- ARGV    1 run_id   2 epoch   3 hold_id   4 tenant_id   5 mode   6 draws   7 flights: how many in-flight limits
--         8 tombstone_ms   9 body   10 cost_nanousd   11 charge_nanousd   12 basis
-- Returns {"ended", .., remaining_nanousd, kind, cost_nanousd, charge_nanousd, number}
--         | {"already_ended", .., state, corrections, booked cost_nanousd, charge_nanousd}
--         | {"unknown", ..} (dead letter written) | {"closed", ..}; ".." is seq, epoch, recorded, now_ms
-- Errors  HOLDKEYS  the declared keys are not those of the hold
-- Keeps   held = sum of open holds; spent moves with exactly one event; a hold ends once. Never refused for money
-- Order   all checks, then all writes
-- use: opening
-- use: hold
-- use: draws
-- use: event
-- use: ending

if not is_ending_allowed then
  return answer('closed')
end
local hold_id = ARGV[3]
local amounts = { cost = tonumber(ARGV[10]), charge = tonumber(ARGV[11]) }
local hold = read_hold(KEYS[5])
local draws
if hold then
  if not hold.is_open and hold.state ~= 'expired' then
    return answer('already_ended', hold.state, hold.corrections, hold.booked.cost, hold.booked.charge)
  end
  draws = read_draws(hold.draws, 6)
  if not draws then
    return redis.error_reply('HOLDKEYS the budgets declared are not those of the hold')
  end
end

-- writes from here
next_seq()
if not hold then
  append_event(KEYS[4], {
    hold_id = hold_id, kind = 'settled', basis = ARGV[12], tenant_id = ARGV[4], mode = ARGV[5],
    cost = amounts.cost, charge = amounts.charge, draws = ARGV[6], body = ARGV[9],
  })
  return answer('unknown')
end
local event = {
  hold_id = hold_id, kind = 'settled', basis = ARGV[12], tenant_id = hold.tenant_id, mode = hold.mode,
  cost = amounts.cost, charge = amounts.charge, draws = hold.draws, body = ARGV[9],
}
local corrections = hold.corrections
if not hold.is_open then
  event.kind = 'correction'
  event.number = hold.corrections
  event.corrects = hold_id .. '.expired.0'
  event.cost = amounts.cost - hold.booked.cost
  event.charge = amounts.charge - hold.booked.charge
  corrections = corrections + 1
end
local remaining = book(draws, hold.is_open and hold.is_of_epoch, hold.held, event)
append_event(KEYS[3], event)
redis.call('HSET', KEYS[1], 'last_event_seq', int(seq))
local first_flight = 6 + #draws
local last_flight = first_flight + tonumber(ARGV[7]) - 1
bury(hold, hold_id, {
  state = 'settled', booked = amounts, corrections = corrections, tombstone_ms = ARGV[8],
  first_flight = first_flight, last_flight = last_flight,
})
close_idempotency(hold, hold_id, KEYS[last_flight + 1], event.cost)
return answer('ended', remaining, event.kind, event.cost, event.charge, event.number or 0)
