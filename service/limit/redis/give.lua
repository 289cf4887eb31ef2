-- Gives units back to counters that are there: microseconds to rates, units to quotas. Redis 7.0.
-- KEYS: counters. ARGV: for each what it gets back.
for i = 1, #KEYS do
  local v = redis.pcall('GET', KEYS[i])
  v = type(v) ~= 'table' and tonumber(v or '')
  if v then
    redis.call('SET', KEYS[i], string.format('%.0f', math.max(v - tonumber(ARGV[i]), 0)), 'KEEPTTL')
  end
end
return #KEYS
