-- A hold's draws ("bud_x:<window>:charge,...") with the budgets' records as they stand. KEYS from first_key on are
-- the budgets, in the order of the draws; a caller that declares others is told so before anything is written.
-- is_counting: the record is of this epoch and still has the window (one that is being loaded, and so has no limit yet,
-- counts every window); otherwise the ledger alone knows, and nothing moves.
local function read_draws(text, first_key)
  local draws = {}
  for budget, window, measure in string.gmatch(text, '([^:,]+):([^,]+):(%a+)') do
    local key = KEYS[first_key + #draws] or ''
    if string.sub(key, -string.len(budget) - 8) ~= ':budget:' .. budget then
      return nil
    end
    local record = redis.call('HMGET', key, 'epoch', 'limit', 's:' .. window, 'h:' .. window)
    draws[#draws + 1] = {
      key = key,
      window = window,
      measure = measure,
      is_counting = record[1] == shard[3] and (record[3] ~= false or not record[2]),
      limit = tonumber(record[2]),
      spent = tonumber(record[3] or '0'),
      held = tonumber(record[4] or '0'),
    }
  end
  return draws
end

-- Move what a hold had on its budgets: give back the claim, book what it turned out to be. Returns what is left on
-- the tightest budget, or zero where none is loaded.
local function book(draws, is_held, given_back, booked)
  local remaining
  for _, draw in ipairs(draws) do
    if draw.is_counting then
      if is_held then
        draw.held = redis.call('HINCRBY', draw.key, 'h:' .. draw.window, int(-given_back[draw.measure]))
      end
      if booked[draw.measure] ~= 0 then
        draw.spent = redis.call('HINCRBY', draw.key, 's:' .. draw.window, int(booked[draw.measure]))
      end
      local left = (draw.limit or 0) - draw.spent - draw.held
      if draw.limit and (remaining == nil or left < remaining) then
        remaining = left
      end
    end
  end
  return remaining or 0
end
