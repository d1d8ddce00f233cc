#!lua flags=allow-oom
-- renew.lua: push back the deadlines of up to 100 dispatched holds whose proxy lives.
-- KEYS    1 shard (hash)   2 deadlines (zset, ms)   then for each hold: hold (hash), in-flight limits (zset)
-- ARGV    1 run_id   2 epoch   3 lease_ms   then for each hold: hold_id, keys (how many)
-- Returns {"renewed", .., deadline_ms, then for each hold: renewed | absent | older (of another epoch) | its state}
--         | {"closed", ..}
-- Errors  none
-- Keeps   only a dispatched hold of this epoch is renewed; an ended one is never opened again
-- Order   all checks, then all writes
-- use: opening

if not is_ending_allowed then
  return answer('closed')
end
local outcomes = {}
local first_key = {}
local key_no = 3
for argument = 4, #ARGV, 2 do
  local record = redis.call('HMGET', KEYS[key_no], 'state', 'epoch')
  local outcome = record[1] or 'absent'
  if record[1] == 'dispatched' then
    outcome = record[2] == shard[3] and 'renewed' or 'older'
  end
  outcomes[#outcomes + 1] = outcome
  first_key[#first_key + 1] = key_no
  key_no = key_no + tonumber(ARGV[argument + 1])
end
first_key[#first_key + 1] = key_no

-- writes from here
next_seq()
local deadline_ms = now_ms + tonumber(ARGV[3])
local reply = answer('renewed', deadline_ms)
for place, outcome in ipairs(outcomes) do
  local hold_key = KEYS[first_key[place]]
  if outcome == 'renewed' then
    redis.call('HSET', hold_key, 'deadline', int(deadline_ms))
    redis.call('ZADD', KEYS[2], int(deadline_ms), hold_key)
    for flight = first_key[place] + 1, first_key[place + 1] - 1 do
      redis.call('ZADD', KEYS[flight], 'XX', int(deadline_ms), ARGV[2 + 2 * place])
    end
  end
  reply[#reply + 1] = outcome
end
return reply
