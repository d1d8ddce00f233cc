-- A hold's record as a table, nil where there is none.
local function read_hold(key)
  local fields = redis.call(
    'HMGET', key, 'state', 'epoch', 'deadline', 'cost', 'charge', 'tenant', 'mode', 'draws', 'idem',
    'end_cost', 'end_charge', 'corrections', 'attempt', 'body'
  )
  if not fields[1] then
    return nil
  end
  return {
    key = key,
    state = fields[1],
    is_of_epoch = fields[2] == shard[3],
    is_open = fields[1] == 'reserved' or fields[1] == 'dispatched',
    deadline = tonumber(fields[3]),
    held = { cost = tonumber(fields[4]), charge = tonumber(fields[5]) },
    tenant_id = fields[6],
    mode = fields[7],
    draws = fields[8],
    idem = fields[9] or '',
    booked = { cost = tonumber(fields[10] or '0'), charge = tonumber(fields[11] or '0') },
    corrections = tonumber(fields[12] or '0'),
    attempt = fields[13],
    body = fields[14] or '',
  }
end
