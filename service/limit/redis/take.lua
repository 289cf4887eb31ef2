-- Decides groups of checks: rates by the generic cell rate algorithm, quotas by what is used of them; limit.Local says the same in
-- Go. Redis 7.0.
-- KEYS: every counter, each once.
-- ARGV: the number of counters about which there is something to say, then for each its place in KEYS, what it begins at when it is
-- not there (-1 unknown; below that a rate, which begins at -2 less this), and what is owed to it when it is. Then the number of groups, and for each group its size and for each of its checks the counter's
-- place and three numbers: of a rate the span (burst intervals), the need (cost intervals) and, as a number below 0 or 0, what must be left of
-- the span after it; of a quota its most, the cost and the end of its period. Times are microseconds. A size below 0 is that of a group that is
-- looked at: it is decided and not spent.
-- Returns for each check two numbers: by how much a rate is over its span, or 1 for a quota that is, 0 when admitted, -1 when the group
-- is undecided for want of a quota's beginning; and how much is used after the decision.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])

local value, dirty = {}, {}
for i = 1, #KEYS do
  local v = redis.pcall('GET', KEYS[i])
  if type(v) == 'table' then -- something else lives under the counter's name: it cannot be one
    redis.call('UNLINK', KEYS[i])
    v = nil
  end
  v = tonumber(v or '')
  if v and v >= 0 and v < 9007199254740992 then
    value[i] = v
  end
end

local a = 2
for _ = 1, tonumber(ARGV[1]) do
  local k, start, owed = tonumber(ARGV[a]), tonumber(ARGV[a + 1]), tonumber(ARGV[a + 2])
  if start <= -2 then
    if value[k] then
      value[k] = math.max(value[k], now) + owed
    else
      value[k] = now - start - 2
    end
    dirty[k] = true
  elseif value[k] then
    if owed ~= 0 then
      value[k] = math.max(value[k] + owed, 0)
      dirty[k] = true
    end
  elseif start >= 0 then
    value[k] = start
    dirty[k] = true -- known from now on, whatever becomes of the group
  else
    value[k] = -1
  end
  a = a + 3
end

local ends, out = {}, {}
local groups = tonumber(ARGV[a])
a = a + 1
for _ = 1, groups do
  local size, from = tonumber(ARGV[a]), a + 1
  local saved, admitted, known = {}, size > 0, true
  size = math.abs(size)
  local base = #out
  for c = 0, size - 1 do
    local at = from + 4 * c
    local k, most, need, till = tonumber(ARGV[at]), tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), tonumber(ARGV[at + 3])
    local over, used
    if till > 0 then
      ends[k] = till
      saved[c] = value[k]
      over, used = 0, value[k]
      if used < 0 then
        known = false
      elseif used + need > most then
        over = 1
      else
        used = used + need
        value[k] = used
      end
    else
      local tat = value[k] or 0
      if tat > now + most then -- the clock fell back or the limit was lowered: the counter must not be stuck
        tat = now + most
        dirty[k] = true
      end
      saved[c] = tat
      local was = math.max(tat, now)
      over, used = math.max(was + need - now - most - till, 0), was - now
      if over == 0 then
        tat = was + need
        used = tat - now
      end
      value[k] = tat
    end
    if over > 0 then
      admitted = false
    end
    out[base + 2 * c + 1] = over
    out[base + 2 * c + 2] = used
  end
  if admitted and known then
    for c = 0, size - 1 do
      dirty[tonumber(ARGV[from + 4 * c])] = true
    end
  else
    for c = size - 1, 0, -1 do
      value[tonumber(ARGV[from + 4 * c])] = saved[c]
    end
    for c = 0, size - 1 do
      local at = from + 4 * c
      if not known then
        out[base + 2 * c + 1] = -1
      elseif out[base + 2 * c + 1] == 0 then -- would have been admitted, is not spent
        local v = value[tonumber(ARGV[at])]
        if tonumber(ARGV[at + 3]) <= 0 then
          v = math.min(math.max(v, now), now + tonumber(ARGV[at + 1])) - now
        end
        out[base + 2 * c + 2] = v
      end
    end
  end
  a = from + 4 * size
end

for k in pairs(dirty) do -- value and end of life in one command: no counter outlives its use
  local till = ends[k]
  if till then -- an hour longer, for replicas whose clocks are late
    till = math.max(till - now, 0) + 3600000000
  else
    till = math.max(value[k] - now, 0) + 1000000
  end
  redis.call('SET', KEYS[k], string.format('%.0f', value[k]), 'PX', math.ceil(till / 1000))
end
return out
