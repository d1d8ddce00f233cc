#!lua flags=allow-oom
-- carry.lua: take up to 100 open holds that an older epoch left into this one, so that they can expire.
-- KEYS    1 shard (hash)   2 deadlines (zset, ms)   then for each hold: hold (hash), budgets (hash) in the order of its
--         draws
-- ARGV    1 epoch   2 lease_ms   then for each hold: keys (how many)
-- Returns {"carried", seq, epoch, recorded, now_ms, outcome per hold} | {"moved", ..} (another epoch, or not being
--         rebuilt); outcome: carried | known (of this epoch already) | gone (ended or absent) | mismatch (other draws)
-- Errors  none of its own
-- Keeps   held = sum of this epoch's open holds; a hold that its proxy adopted is left alone
-- Order   all checks, then all writes
-- use: own_life
-- use: hold
-- use: draws
-- use: standing

if not is_adopting or tonumber(ARGV[1]) ~= epoch then
  return answer('moved')
end
local outcomes, carried = {}, {}
local key_no = 3
for argument = 3, #ARGV do
  local hold = read_hold(KEYS[key_no])
  local outcome = 'gone'
  if hold and hold.is_open then
    outcome = 'known'
    if not hold.is_of_epoch then
      hold.booked_on = read_draws(hold.draws, key_no + 1)
      outcome = hold.booked_on and 'carried' or 'mismatch'
    end
  end
  if outcome == 'carried' then
    carried[#carried + 1] = hold
  end
  outcomes[#outcomes + 1] = outcome
  key_no = key_no + tonumber(ARGV[argument])
end

-- writes from here
next_seq()
local deadline_ms = now_ms + tonumber(ARGV[2])
for _, hold in ipairs(carried) do
  redis.call('HSET', hold.key, 'epoch', int(epoch), 'deadline', int(deadline_ms))
  redis.call('ZADD', KEYS[2], int(deadline_ms), hold.key)
  stand(hold.booked_on, hold.held)
end
return answer('carried', unpack(outcomes))
