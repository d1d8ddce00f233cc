-- Every script begins here: the shard's record, Redis's clock, and the five values each reply begins with.
local shard = redis.call('HMGET', KEYS[1], 'state', 'run_id', 'epoch', 'seq', 'recorded', 'overloaded')
local state = shard[1] or 'absent'
local epoch = tonumber(shard[3] or '0')
local seq = tonumber(shard[4] or '0')
local recorded = tonumber(shard[5] or '0')
local clock = redis.call('TIME')
local now_ms = clock[1] * 1000 + math.floor(clock[2] / 1000)
local is_our_life = ARGV[1] == shard[2] and ARGV[2] == shard[3]
local is_open = is_our_life and state == 'open'
local is_ending_allowed = is_our_life and (state == 'open' or state == 'adopting')

local function int(number)
  return string.format('%d', number)
end

local function answer(status, ...)
  return { status, seq, epoch, recorded, now_ms, ... }
end

local function next_seq()
  seq = redis.call('HINCRBY', KEYS[1], 'seq', 1)
end
