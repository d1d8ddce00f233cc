#!lua
-- retire.lua: delete policies that an older epoch left and nobody has published again.
-- KEYS    1 shard (hash)   2.. policies, default budgets or customer indexes (hash: epoch)
-- ARGV    1 epoch
-- Returns {"retired", seq, epoch, recorded, now_ms, how many} | {"moved", ..}
-- Errors  none of its own
-- Keeps   what the database no longer has cannot be used: a policy that is absent is refused
-- Order   all checks, then one write per record, independent of each other
-- use: own_life
if not is_adopting or tonumber(ARGV[1]) ~= epoch then
  return answer('moved')
end
local retired = 0
next_seq()
for place = 2, #KEYS do
  if redis.call('HGET', KEYS[place], 'epoch') ~= int(epoch) then
    retired = retired + redis.call('DEL', KEYS[place])
  end
end
return answer('retired', retired)
