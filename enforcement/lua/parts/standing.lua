-- Count a hold of an older epoch on its budgets as held in this one. What an older epoch left in a budget's record goes;
-- without a limit the record stays "not loaded". The window's sum begins at zero, so that the hold's end finds it.
local function stand(draws, held)
  for _, draw in ipairs(draws) do
    if redis.call('HGET', draw.key, 'epoch') ~= int(epoch) then
      redis.call('DEL', draw.key)
      redis.call('HSET', draw.key, 'epoch', int(epoch))
    end
    redis.call('HSETNX', draw.key, 's:' .. draw.window, '0')
    redis.call('HINCRBY', draw.key, 'h:' .. draw.window, int(held[draw.measure]))
  end
end
