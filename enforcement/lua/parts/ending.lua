-- Turn a hold into its tombstone and take it out of the deadlines and of the in-flight limits it stood in.
-- KEYS first_flight .. last_flight are those limits.
local function bury(hold, hold_id, ending)
  redis.call('ZREM', KEYS[2], hold.key)
  for place = ending.first_flight, ending.last_flight do
    redis.call('ZREM', KEYS[place], hold_id)
  end
  redis.call(
    'HSET', hold.key, 'state', ending.state, 'end_cost', int(ending.booked.cost),
    'end_charge', int(ending.booked.charge), 'corrections', int(ending.corrections), 'ended_ms', int(now_ms)
  )
  redis.call('HDEL', hold.key, 'body')
  redis.call('PEXPIRE', hold.key, ending.tombstone_ms)
end

-- Close the Idempotency-Key's record: ended with a cost, or (nil) forgotten, so that the caller may try again.
-- A later attempt of the same call may own the record by now; then it is left alone.
local function close_idempotency(hold, hold_id, key, cost)
  if hold.idem == '' or not key or redis.call('HGET', key, 'hold') ~= hold_id then
    return
  end
  if cost then
    redis.call('HSET', key, 'state', 'done')
    redis.call('HINCRBY', key, 'cost', int(cost))
  else
    redis.call('DEL', key)
  end
end
