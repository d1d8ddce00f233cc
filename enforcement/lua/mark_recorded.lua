#!lua flags=allow-oom
-- mark_recorded.lua: say up to which position of this epoch the ledger has committed.
-- KEYS    1 shard (hash: recorded)
-- ARGV    1 epoch   2 seq
-- Returns {"marked" | "older", seq, epoch, recorded, now_ms}; older: another epoch, or a mark at or past this one
-- Errors  none of its own
-- Keeps   the mark only grows within an epoch, and is never of another one
-- Order   all checks, then all writes
-- use: own_life
if tonumber(ARGV[1]) ~= epoch or tonumber(ARGV[2]) <= recorded then
  return answer('older')
end
redis.call('HSET', KEYS[1], 'recorded', ARGV[2])
recorded = tonumber(ARGV[2])
return answer('marked')
