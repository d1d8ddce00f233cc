-- Close an Idempotency-Key's record that another life of the shard left open: ended with a cost, or (nil) forgotten.
-- One that was closed already has counted its cost, and one that a later attempt owns is that attempt's.
local function close_open(idem, hold_id, key, cost)
  if idem == '' or not key then
    return
  end
  local record = redis.call('HMGET', key, 'hold', 'state')
  if record[1] ~= hold_id or record[2] ~= 'open' then
    return
  end
  if cost then
    redis.call('HSET', key, 'state', 'done')
    redis.call('HINCRBY', key, 'cost', int(cost))
  else
    redis.call('DEL', key)
  end
end
