#!lua
-- begin_rebuild.lua: begin a new epoch of a shard whose data is not what we knew.
-- KEYS    1 shard (hash: state, run_id, epoch, seq, recorded, began_ms)   2 wanted budgets (hash)
-- ARGV    1 the epoch found there (0 = none)   2 the epoch to begin
-- Returns {"begun" | "moved", seq, epoch, recorded, now_ms}; moved: somebody else began one meanwhile
-- Errors  none of its own
-- Keeps   an epoch begins once; seq never falls within one; whatever an older epoch left counts as not loaded
-- Order   all checks, then all writes
-- use: own_life
if tonumber(ARGV[1]) ~= epoch or tonumber(ARGV[2]) <= epoch then
  return answer('moved')
end

next_seq()
epoch = tonumber(ARGV[2])
recorded = 0
redis.call(
  'HSET', KEYS[1], 'state', 'adopting', 'run_id', run_id, 'epoch', ARGV[2], 'recorded', 0, 'last_event_seq', 0,
  'began_ms', int(now_ms)
)
redis.call('HDEL', KEYS[1], 'overloaded')
redis.call('DEL', KEYS[2])
return answer('begun')
