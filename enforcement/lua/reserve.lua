#!lua
-- reserve.lua: claim part of every budget a request draws on, or of none.
-- KEYS    1 shard (hash)   2 deadlines (zset, ms)   3 hold (hash)   4 wanted (hash)   then budgets (hash), policies
--         (hash), for each rate limit: rate (string, us) and in-flight (zset); idempotency (hash), if any;
--         for a first-seen customer: customers (hash), default budget (hash), arrived (counter), arrivals (stream)
-- ARGV    1 run_id   2 epoch   3 hold_id   4 attempt   5 request_id   6 tenant_id   7 mode   8 ttl_ms   9 output_cap
--         10 output_minimum   11 cap_is_ours   12 may_clamp   13 cost: least   14 at_cap   15 per_output_token
--         16 at_minimum   17..20 charge: the same   21 body   22 idempotency digest ("" = none)   23 body digest
--         24 idempotency_ms   25 flight_grace_ms   26 budgets (how many)   27 policies   28 rates   29 first-seen budget
--         (its number, 0 = none)   30 customer_id   31 external digest   32 external_id   33 flights ("limit_a,limit_b")
--         then for each budget: budget_id, measure, may_clamp, window id, start, end, following window id, start, end;
--         for each policy: version (0 = absent); for each rate: interval_us (0 = none), burst, in_flight_max (0 = none)
-- Returns ".." is seq, epoch, recorded, now_ms; numbers of budgets, policies and rates count from 1
--         {"granted", .., deadline_ms, output_cap, cost, charge, clamped 0|1, remaining_nanousd, draws}
--         | {"refused" | "crowded", .., budget_no, limit, spent, held, needed, window_end_ms}
--         | {"limited", .., rate_no, "requests" | "in_flight", retry_after_ms} | {"stale", .., policy_no ...}
--         | {"turned", ..} | {"not_loaded", .., budget_no} | {"unknown_customer", .., reason, retry_after_ms}
--         | {"replayed", .., state, same_attempt 0|1, deadline_ms, output_cap, cost, charge, draws}
--         | {"in_progress" | "already_done" | "other_body", .., request_id, cost_nanousd} | {"overloaded", .., reason}
--         | {"closed", ..}
-- Errors  none; without allow-oom Redis itself refuses above maxmemory
-- Keeps   held = sum of open holds; spent + held <= limit whenever the reply is "granted"; rate limits taken on grant
--         only; a budget made for a first-seen customer is made once
-- Order   all checks, then all writes: Redis does not undo a script that fails half-way
-- use: opening

if not is_open then
  return answer('closed')
end
local hold_key, hold_id = KEYS[3], ARGV[3]
local known = redis.call('HMGET', hold_key, 'state', 'attempt', 'deadline', 'cap', 'cost', 'charge', 'draws')
if known[1] then
  return answer(
    'replayed', known[1], known[2] == ARGV[4] and 1 or 0, tonumber(known[3]), tonumber(known[4]),
    tonumber(known[5]), tonumber(known[6]), known[7]
  )
end
if (shard[6] or '') ~= '' then
  return answer('overloaded', shard[6])
end

local budgets_count, policies_count, rates_count = tonumber(ARGV[26]), tonumber(ARGV[27]), tonumber(ARGV[28])
local policies_key = 4 + budgets_count
local rates_key = policies_key + policies_count
local idempotency_key = rates_key + 2 * rates_count
local budgets_arg = 33
local policies_arg = budgets_arg + 9 * budgets_count
local rates_arg = policies_arg + policies_count

-- Idempotency: a further attempt of the very same call passes; it takes the record over.
local idempotency = ARGV[22]
local first_seen_key = idempotency_key
if idempotency ~= '' then
  first_seen_key = idempotency_key + 1
  local earlier = redis.call('HMGET', KEYS[first_seen_key], 'body', 'request', 'state', 'cost')
  if earlier[1] and earlier[2] ~= ARGV[5] then
    local status = earlier[3] == 'done' and 'already_done' or 'in_progress'
    if earlier[1] ~= ARGV[23] then
      status = 'other_body'
    end
    return answer(status, earlier[2], tonumber(earlier[4] or '0'))
  end
end

-- Policies: judged under an older version than Redis's means judged wrongly.
local stale = {}
for place = 1, policies_count do
  -- A record of an older epoch counts as absent: the database may have changed since.
  local policy = redis.call('HMGET', KEYS[policies_key + place], 'version', 'epoch')
  local version = policy[2] == shard[3] and policy[1] or '0'
  if version ~= ARGV[policies_arg + place] then
    stale[#stale + 1] = place
  end
end
if #stale > 0 then
  return answer('stale', unpack(stale))
end

-- A first-seen customer: its budget may be made only while the whole index is here and lacks it.
local new_budget_no, new_limit, default_version = 0, nil, nil
if ARGV[29] ~= '0' then
  local index = redis.call('HMGET', KEYS[first_seen_key + 1], 'complete', ARGV[31])
  if index[1] ~= shard[3] then
    return answer('unknown_customer', 'index_incomplete', 0)
  end
  if index[2] and index[2] ~= ARGV[30] then
    return answer('unknown_customer', 'known', 0)
  end
  if not index[2] then
    local default = redis.call('HMGET', KEYS[first_seen_key + 2], 'epoch', 'limit', 'version', 'arrivals_per_hour_max')
    if default[1] ~= shard[3] or not default[2] then
      return answer('unknown_customer', 'no_default', 0)
    end
    if tonumber(redis.call('GET', KEYS[first_seen_key + 3]) or '0') >= tonumber(default[4]) then
      return answer('unknown_customer', 'too_many', redis.call('PTTL', KEYS[first_seen_key + 3]))
    end
    new_budget_no, new_limit, default_version = tonumber(ARGV[29]), default[2], default[3]
  end
end

-- Budgets: which window Redis's clock is in, and what stands there.
local quotes = {
  cost = { least = tonumber(ARGV[13]), at_cap = tonumber(ARGV[14]), per = tonumber(ARGV[15]), at_minimum = tonumber(ARGV[16]) },
  charge = { least = tonumber(ARGV[17]), at_cap = tonumber(ARGV[18]), per = tonumber(ARGV[19]), at_minimum = tonumber(ARGV[20]) },
}
local budgets = {}
for number = 1, budgets_count do
  local at = budgets_arg + 9 * (number - 1)
  local first = nil
  if now_ms >= tonumber(ARGV[at + 5]) and now_ms < tonumber(ARGV[at + 6]) then
    first = at + 4
  elseif now_ms >= tonumber(ARGV[at + 8]) and now_ms < tonumber(ARGV[at + 9]) then
    first = at + 7
  else
    return answer('turned')
  end
  local window = ARGV[first]
  budgets[number] = {
    number = number, key = KEYS[4 + number], id = ARGV[at + 1], measure = ARGV[at + 2], may_clamp = ARGV[at + 3] == '1',
    window = window, window_start = ARGV[first + 1], window_end = ARGV[first + 2], quote = quotes[ARGV[at + 2]],
    held_field = 'h:' .. window,
  }
end
for number, budget in ipairs(budgets) do
  local window = budget.window
  local record = redis.call(
    'HMGET', budget.key, 'epoch', 'limit', 's:' .. window, budget.held_field, 'e:' .. window, 'dropped'
  )
  budget.is_made_here = number == new_budget_no and not record[1]
  -- The clock ran ahead, let this window's sums be dropped, and came back: the ledger alone knows them now.
  local is_lost = record[2] and not record[5] and record[6] and tonumber(budget.window_end) <= tonumber(record[6])
  if budget.is_made_here then
    record[2] = new_limit
  elseif record[1] ~= shard[3] or not record[2] or is_lost then
    -- The only writes of a refusal: the keeper loads what is wanted.
    if is_lost then
      redis.call('HSET', budget.key, 'pending_limit', record[2])
      redis.call('HDEL', budget.key, 'limit', 'opening')
    end
    redis.call('HSET', KEYS[4], ARGV[6] .. ':' .. ARGV[7] .. ':' .. budget.id, int(now_ms))
    return answer('not_loaded', number)
  end
  budget.limit = tonumber(record[2])
  budget.spent = tonumber(record[3] or '0')
  budget.held = tonumber(record[4] or '0')
  budget.left = budget.limit - budget.spent
  budget.room = budget.left - budget.held
  budget.has_window = record[5] ~= false
end

-- The budget that falls shortest of what is needed rules; nil where all have it.
local function shortest(have, need, applies)
  local ruling, shortage = nil, 0
  for _, budget in ipairs(budgets) do
    local short = budget.quote[need] - budget[have]
    if short > shortage and (applies == nil or applies(budget)) then
      ruling, shortage = budget, short
    end
  end
  return ruling
end

local function judged(status, budget, needed)
  return answer(status, budget.number, budget.limit, budget.spent, budget.held, needed, tonumber(budget.window_end))
end

local ruling = shortest('left', 'at_minimum')
if ruling then
  return judged('refused', ruling, ruling.quote.at_minimum)
end
local output_cap = tonumber(ARGV[9])
local held = { cost = quotes.cost.at_cap, charge = quotes.charge.at_cap }
local is_clamped = false
ruling = shortest('room', 'at_cap')
if ruling then
  local is_cap_ours, is_answer_cuttable = ARGV[11] == '1', ARGV[12] == '1'
  local function is_rigid(budget)
    return not (is_answer_cuttable and (is_cap_ours or budget.may_clamp))
  end
  if not shortest('left', 'at_cap') then
    return judged('crowded', ruling, ruling.quote.at_cap)
  end
  local never = shortest('left', 'at_cap', is_rigid)
  if never then
    return judged('refused', never, never.quote.at_cap)
  end
  for _, budget in ipairs(budgets) do
    local quote = budget.quote
    local stretch = budget.room - quote.least
    if quote.at_cap > budget.room and quote.per > 0 and not is_rigid(budget) then
      -- fmod is exact where a division of doubles may round up to the next whole cap.
      output_cap = math.min(output_cap, (stretch - math.fmod(stretch, quote.per)) / quote.per)
    end
  end
  for measure, quote in pairs(quotes) do
    quote.clamped = math.min(quote.at_cap, quote.least + quote.per * output_cap)
    held[measure] = quote.clamped
  end
  if output_cap < tonumber(ARGV[10]) then
    ruling = shortest('room', 'at_minimum') or ruling
    return judged('crowded', ruling, ruling.quote.at_minimum)
  end
  ruling = shortest('room', 'clamped')
  if ruling then
    return judged('crowded', ruling, ruling.quote.clamped)
  end
  is_clamped = true
end

-- Rates: GCRA in whole microseconds, and how many stand in the in-flight limits.
local now_us = clock[1] * 1000000 + clock[2]
local flight_floor_ms = int(now_ms - tonumber(ARGV[25]))
local arrivals_us = {}
for number = 1, rates_count do
  local at = rates_arg + 3 * (number - 1)
  local interval_us, burst, in_flight_max = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
  local rate_key = KEYS[rates_key + 2 * number - 1]
  if interval_us > 0 then
    local arrival_us = math.max(tonumber(redis.call('GET', rate_key) or '0'), now_us) + interval_us
    local early_us = arrival_us - burst * interval_us - now_us
    if early_us > 0 then
      return answer('limited', number, 'requests', math.ceil(early_us / 1000))
    end
    arrivals_us[number] = arrival_us
  end
  if in_flight_max > 0 then
    local flying = redis.call('ZCOUNT', KEYS[rates_key + 2 * number], '(' .. flight_floor_ms, '+inf')
    if flying >= in_flight_max then
      return answer('limited', number, 'in_flight', 1000)
    end
  end
end

-- writes from here
next_seq()
local deadline_ms = now_ms + tonumber(ARGV[8])
if new_limit then
  redis.call('HSET', KEYS[first_seen_key + 1], ARGV[31], ARGV[30])
  if redis.call('INCR', KEYS[first_seen_key + 3]) == 1 then
    redis.call('PEXPIRE', KEYS[first_seen_key + 3], 3600000)
  end
  redis.call(
    'XADD', KEYS[first_seen_key + 4], '*', 'tenant_id', ARGV[6], 'mode', ARGV[7], 'external_id', ARGV[32],
    'customer_id', ARGV[30], 'budget_id', budgets[new_budget_no].id, 'limit', new_limit, 'at_ms', int(now_ms),
    'epoch', shard[3], 'seq', int(seq)
  )
end

-- Windows that ended two days ago and hold nothing leave the record when a new one enters it.
local function drop_old_windows(key)
  local fields = redis.call('HGETALL', key)
  local ends, helds, dropped_ms = {}, {}, 0
  for place = 1, #fields, 2 do
    local kind, window = string.match(fields[place], '^([eh]):(.*)$')
    if kind == 'e' then
      ends[window] = tonumber(fields[place + 1])
    elseif kind == 'h' then
      helds[window] = fields[place + 1]
    end
  end
  for window, end_ms in pairs(ends) do
    if end_ms < now_ms - 172800000 and (helds[window] or '0') == '0' then
      redis.call('HDEL', key, 's:' .. window, 'h:' .. window, 'b:' .. window, 'e:' .. window)
      dropped_ms = math.max(dropped_ms, end_ms)
    end
  end
  if dropped_ms > tonumber(redis.call('HGET', key, 'dropped') or '0') then
    redis.call('HSET', key, 'dropped', int(dropped_ms))
  end
end

local draws, remaining = {}, nil
for number, budget in ipairs(budgets) do
  local window, amount = budget.window, held[budget.measure]
  if budget.is_made_here then
    redis.call('HSET', budget.key, 'limit', new_limit, 'version', default_version, 'epoch', shard[3], 'measure', budget.measure)
  end
  if not budget.has_window then
    drop_old_windows(budget.key)
    redis.call('HSET', budget.key, 'b:' .. window, budget.window_start, 'e:' .. window, budget.window_end)
    redis.call('HSETNX', budget.key, 's:' .. window, '0')
  end
  redis.call('HINCRBY', budget.key, budget.held_field, int(amount))
  draws[number] = budget.id .. ':' .. window .. ':' .. budget.measure
  if remaining == nil or budget.room - amount < remaining then
    remaining = budget.room - amount
  end
end
local draws_text = table.concat(draws, ',')

for number = 1, rates_count do
  local at = rates_arg + 3 * (number - 1)
  if arrivals_us[number] then
    local ttl_ms = math.ceil((arrivals_us[number] - now_us) / 1000) + 1000
    redis.call('SET', KEYS[rates_key + 2 * number - 1], int(arrivals_us[number]), 'PX', int(ttl_ms))
  end
  if tonumber(ARGV[at + 3]) > 0 then
    redis.call('ZREMRANGEBYSCORE', KEYS[rates_key + 2 * number], '-inf', flight_floor_ms)
    redis.call('ZADD', KEYS[rates_key + 2 * number], int(deadline_ms), hold_id)
  end
end
if idempotency ~= '' then
  redis.call(
    'HSET', KEYS[idempotency_key + 1], 'body', ARGV[23], 'request', ARGV[5], 'state', 'open', 'hold', hold_id
  )
  redis.call('PEXPIRE', KEYS[idempotency_key + 1], ARGV[24])
end
redis.call(
  'HSET', hold_key, 'state', 'reserved', 'attempt', ARGV[4], 'epoch', shard[3], 'deadline', int(deadline_ms),
  'cost', int(held.cost), 'charge', int(held.charge), 'cap', int(output_cap), 'request', ARGV[5],
  'tenant', ARGV[6], 'mode', ARGV[7], 'draws', draws_text, 'flight', ARGV[33], 'idem', idempotency, 'body', ARGV[21]
)
redis.call('ZADD', KEYS[2], int(deadline_ms), hold_key)
return answer(
  'granted', deadline_ms, output_cap, held.cost, held.charge, is_clamped and 1 or 0, remaining or 0, draws_text
)
