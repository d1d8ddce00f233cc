#!lua
-- take_token.lua: let one more call go to somebody else's service, or say how long to wait; or run up a debt.
-- KEYS    1 pace (string: theoretical arrival time, us)
-- ARGV    1 interval_us between calls   2 burst: calls at once   3 debt_us (0 = ask for a token)
-- Returns wait_ms; 0 = taken
-- Errors  none
-- Keeps   over any span no more than burst + span / interval calls go; a debt stops all of them for as long
-- Order   all checks, then all writes
local clock = redis.call('TIME')
local now_us = tonumber(clock[1]) * 1000000 + tonumber(clock[2])
local interval_us = tonumber(ARGV[1])
local tolerance_us = interval_us * (tonumber(ARGV[2]) - 1)
local arrival_us = math.max(tonumber(redis.call('GET', KEYS[1]) or '0'), now_us)
local debt_us = tonumber(ARGV[3])
if debt_us > 0 then
  arrival_us = math.max(arrival_us, now_us + tolerance_us + debt_us)
elseif arrival_us - now_us > tolerance_us then
  return math.ceil((arrival_us - now_us - tolerance_us) / 1000)
else
  arrival_us = arrival_us + interval_us
end

-- writes from here
redis.call('SET', KEYS[1], string.format('%.0f', arrival_us), 'PX', math.ceil((arrival_us - now_us) / 1000) + 1000)
return 0
