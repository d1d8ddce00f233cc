#!lua
-- publish.lua: put a policy, unless a newer one of this epoch is there.
-- KEYS    1 shard (hash)   2 policy (hash: version, epoch, body)   3 customer index (hash), only with ARGV 3 and 4
-- ARGV    1 version   2 body   3 digest of the external id   4 customer id
-- Returns {"published" | "older" | "closed", seq, epoch, recorded, now_ms}
-- Errors  none of its own
-- Keeps   a policy's version never falls within an epoch; one of an older epoch counts as absent, so that a restored
--         Redis cannot hold on to what the database has since changed; an index entry of an older epoch is dropped
-- Order   all checks, then all writes
-- use: own_life
if not (is_open or is_adopting) then
  return answer('closed')
end
local known = redis.call('HMGET', KEYS[2], 'version', 'epoch')
if tonumber(known[2]) == epoch and tonumber(known[1]) > tonumber(ARGV[1]) then
  return answer('older')
end

next_seq()
redis.call('HSET', KEYS[2], 'version', ARGV[1], 'epoch', int(epoch), 'body', ARGV[2])
if KEYS[3] then
  if tonumber(redis.call('HGET', KEYS[3], 'epoch')) ~= epoch then
    redis.call('DEL', KEYS[3])
    redis.call('HSET', KEYS[3], 'epoch', int(epoch))
  end
  redis.call('HSET', KEYS[3], ARGV[3], ARGV[4])
end
return answer('published')
