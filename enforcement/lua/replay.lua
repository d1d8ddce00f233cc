#!lua flags=allow-oom
-- replay.lua: append again the event of an end that may have been lost with another life of the shard.
-- KEYS    1 shard (hash)   2 deadlines (zset, ms)   3 usage (stream)   4 wanted (hash)   5 hold (hash)
--         6.. budgets (hash), in the order of the draws; in-flight limits (zset); idempotency (hash), if any
-- ARGV    1 run_id   2 epoch   3 hold_id   4 kind   5 number   6 basis   7 cost_nanousd   8 charge_nanousd   9 corrects
--         10 tenant_id   11 mode   12 draws   13 body   14 tombstone_ms   15 flights: how many in-flight limits
-- Returns {"replayed", ..} | {"expired", ..} | {"closed", ..}; expired: it ended as unresolved meanwhile, so the caller
--         must end it again, which appends a correction instead
-- Errors  HOLDKEYS  the declared keys are not those of the draws
-- Keeps   the event keeps its id, so the ledger takes it once. Whether spent has it already nobody here knows, so a
--         loaded budget is unloaded until it has been read from the ledger again; a hold that still stood is certain:
--         it is ended and booked like any other
-- Order   all checks, then all writes
-- use: opening
-- use: hold
-- use: draws
-- use: event
-- use: ending
-- use: idempotency

if not is_ending_allowed then
  return answer('closed')
end
local hold = read_hold(KEYS[5])
local kind = ARGV[4]
local is_first_end = kind ~= 'correction'
if hold and hold.state == 'expired' and is_first_end and kind ~= 'expired' then
  return answer('expired')
end
local draws = read_draws(ARGV[12], 6)
if not draws then
  return redis.error_reply('HOLDKEYS the budgets declared are not those of the draws')
end

-- writes from here
next_seq()
local event = {
  hold_id = ARGV[3], kind = kind, number = tonumber(ARGV[5]), basis = ARGV[6], cost = tonumber(ARGV[7]),
  charge = tonumber(ARGV[8]), corrects = ARGV[9], tenant_id = ARGV[10], mode = ARGV[11], draws = ARGV[12],
  body = ARGV[13],
}
append_event(KEYS[3], event)
redis.call('HSET', KEYS[1], 'last_event_seq', int(seq))
if hold and hold.is_open and hold.is_of_epoch and is_first_end then
  book(draws, true, hold.held, event)
else
  for _, draw in ipairs(draws) do
    local record = redis.call('HMGET', draw.key, 'epoch', 'limit')
    if record[1] == shard[3] and record[2] then
      redis.call('HSET', draw.key, 'pending_limit', record[2])
      redis.call('HDEL', draw.key, 'limit', 'opening')
      redis.call('HSET', KEYS[4], ARGV[10] .. ':' .. ARGV[11] .. ':' .. string.match(draw.key, '[^:]+$'), int(now_ms))
    end
  end
end
if not is_first_end then
  if hold and hold.corrections <= event.number then
    redis.call('HSET', KEYS[5], 'corrections', int(event.number + 1))
    redis.call('HINCRBY', KEYS[5], 'end_cost', int(event.cost))
    redis.call('HINCRBY', KEYS[5], 'end_charge', int(event.charge))
  end
  return answer('replayed')
end
close_open('any', ARGV[3], KEYS[6 + #draws + tonumber(ARGV[15])], kind ~= 'released' and event.cost or nil)
if not hold then
  redis.call(
    'HSET', KEYS[5], 'epoch', int(epoch), 'tenant', ARGV[10], 'mode', ARGV[11], 'draws', ARGV[12], 'cost', int(event.cost),
    'charge', int(event.charge)
  )
end
if not hold or hold.is_open then
  local first_flight = 6 + #draws
  bury({ key = KEYS[5] }, ARGV[3], {
    state = kind, booked = event, corrections = 0, tombstone_ms = ARGV[14],
    first_flight = first_flight, last_flight = first_flight + tonumber(ARGV[15]) - 1,
  })
end
return answer('replayed')
