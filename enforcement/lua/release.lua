#!lua flags=allow-oom
-- release.lua: end a hold that cost nothing; after an expiry, take back what the expiry booked.
-- KEYS    1 shard (hash)   2 deadlines (zset, ms)   3 usage (stream)   4 dead letters (stream)   5 hold (hash)
--         6.. budgets (hash), in the order of the hold's draws; in-flight limits (zset); idempotency (hash), if any
-- ARGV    1 run_id   2 epoch   3 hold_id   4 tenant_id   5 mode   6 draws   7 flights: how many in-flight limits
--         8 tombstone_ms   9 body ("" = the hold's own)   10 is_certain: 0 when the reserve may never have arrived
-- Returns {"ended", .., remaining_nanousd, kind, cost_nanousd, charge_nanousd, number}; kind "" = no event
--         | {"already_ended", .., state, corrections, booked cost_nanousd, charge_nanousd}
--         | {"unknown", ..} (dead letter written if certain) | {"closed", ..}
-- Errors  HOLDKEYS  the declared keys are not those of the hold
-- Keeps   held = sum of open holds; a dispatched hold leaves one row, a reserved one none; a hold ends once
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
elseif ARGV[10] == '0' then
  return answer('unknown')
end

-- writes from here
next_seq()
if not hold then
  append_event(KEYS[4], {
    hold_id = hold_id, kind = 'released', basis = 'none', tenant_id = ARGV[4], mode = ARGV[5],
    cost = 0, charge = 0, draws = ARGV[6], body = ARGV[9],
  })
  return answer('unknown')
end
local event = {
  hold_id = hold_id, kind = 'released', basis = 'none', tenant_id = hold.tenant_id, mode = hold.mode,
  cost = 0, charge = 0, draws = hold.draws, body = ARGV[9] ~= '' and ARGV[9] or hold.body,
}
local corrections = hold.corrections
if hold.state == 'expired' then
  event.kind = 'correction'
  event.number = hold.corrections
  event.corrects = hold_id .. '.expired.0'
  event.cost = -hold.booked.cost
  event.charge = -hold.booked.charge
  corrections = corrections + 1
elseif hold.state == 'reserved' then
  event.kind = ''
end
local remaining = book(draws, hold.is_open and hold.is_of_epoch, hold.held, event)
if event.kind ~= '' then
  append_event(KEYS[3], event)
  redis.call('HSET', KEYS[1], 'last_event_seq', int(seq))
end
local first_flight = 6 + #draws
local last_flight = first_flight + tonumber(ARGV[7]) - 1
bury(hold, hold_id, {
  state = 'released', booked = { cost = 0, charge = 0 }, corrections = corrections, tombstone_ms = ARGV[8],
  first_flight = first_flight, last_flight = last_flight,
})
-- A call that cost nothing may be tried again under the same Idempotency-Key.
close_idempotency(hold, hold_id, KEYS[last_flight + 1], nil)
return answer('ended', remaining, event.kind, event.cost, event.charge, event.number or 0)
