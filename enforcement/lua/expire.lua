#!lua flags=allow-oom
-- expire.lua: end up to 100 holds whose deadline has passed, or (forced) one whose proxy gives it up.
-- KEYS    1 shard (hash)   2 deadlines (zset, ms)   3 usage (stream)   then for each hold: hold (hash), budgets (hash)
--         in the order of its draws, in-flight limits (zset), idempotency (hash) if any
-- ARGV    1 run_id   2 epoch   3 tombstone_expired_ms   4 tombstone_released_ms   5 is_forced (1: whatever the deadline)
--         6 body ("" = each hold's own)   then for each hold: hold_id, keys (how many), flights (how many of them)
-- Returns {"expired", .., then for each hold: outcome, seq of its event (0 = none)} | {"closed", ..}
--         outcome: expired (at its quote, unresolved) | released (was never dispatched) | early (not due) | absent
--         | mismatch (other keys than the hold's) | settled | released_before | expired_before
-- Errors  none
-- Keeps   held = sum of open holds; only a dispatched hold leaves a row, at what was held; a hold ends once
-- Order   all checks, then all writes
-- use: opening
-- use: hold
-- use: draws
-- use: event
-- use: ending

if not is_ending_allowed then
  return answer('closed')
end
local is_forced = ARGV[5] == '1'
local due = {}
local outcomes = {}
local key_no = 4
for argument = 7, #ARGV, 3 do
  local place = #outcomes + 1
  local hold = read_hold(KEYS[key_no])
  local keys = tonumber(ARGV[argument + 1])
  local outcome = 'absent'
  if hold and not hold.is_open then
    outcome = hold.state == 'settled' and 'settled' or hold.state .. '_before'
  elseif hold and hold.deadline > now_ms and not is_forced then
    outcome = 'early'
  elseif hold then
    local draws = read_draws(hold.draws, key_no + 1)
    outcome = 'mismatch'
    if draws then
      outcome = (hold.state == 'dispatched' or is_forced) and 'expired' or 'released'
      local first_flight = key_no + 1 + #draws
      due[#due + 1] = {
        place = place, hold = hold, id = ARGV[argument], draws = draws,
        first_flight = first_flight, last_flight = first_flight + tonumber(ARGV[argument + 2]) - 1,
        last_key = key_no + keys - 1,
      }
    end
  end
  outcomes[place] = outcome
  key_no = key_no + keys
end

-- writes from here
local seqs = {}
for _, case in ipairs(due) do
  next_seq()
  local hold = case.hold
  local is_sent = outcomes[case.place] == 'expired'
  local booked = is_sent and hold.held or { cost = 0, charge = 0 }
  book(case.draws, hold.is_of_epoch, hold.held, booked)
  if is_sent then
    append_event(KEYS[3], {
      hold_id = case.id, kind = 'expired', basis = 'unresolved', tenant_id = hold.tenant_id, mode = hold.mode,
      cost = booked.cost, charge = booked.charge, draws = hold.draws, body = ARGV[6] ~= '' and ARGV[6] or hold.body,
    })
    redis.call('HSET', KEYS[1], 'last_event_seq', int(seq))
    seqs[case.place] = seq
  end
  bury(hold, case.id, {
    state = is_sent and 'expired' or 'released', booked = booked, corrections = 0,
    tombstone_ms = is_sent and ARGV[3] or ARGV[4],
    first_flight = case.first_flight, last_flight = case.last_flight,
  })
  local idempotency_key = case.last_key > case.last_flight and KEYS[case.last_key] or nil
  close_idempotency(hold, case.id, idempotency_key, is_sent and booked.cost or nil)
end
local reply = answer('expired')
for place, outcome in ipairs(outcomes) do
  reply[#reply + 1] = outcome
  reply[#reply + 1] = seqs[place] or 0
end
return reply
