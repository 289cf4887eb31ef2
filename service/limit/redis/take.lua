-- Decides groups of checks: rates by the generic cell rate algorithm, quotas by what is used of them; limit.Local says the same in
-- Go. Redis 7.0.
-- KEYS: every counter, each once.
-- ARGV: one text of numbers, each a double of eight bytes, least byte first: so many values would cost more to pass than to decide on.
-- The number of counters about which there is something to say, then for each its place in KEYS, what it begins at when it is
-- not there (-1 unknown; below that a rate, which begins at -2 less this), and what is owed to it when it is. Then the number of groups, and for each group its size and for each of its checks the counter's
-- place and three numbers: of a rate the span (burst intervals), the need (cost intervals) and, as a number below 0 or 0, what must be left of
-- the span after it; of a quota its most, the cost and the end of its period. A cost below 0 takes as much of a quota up front, or what is sensible. Times are microseconds. A size below 0 is that of a group that is
-- looked at: it is decided and not spent.
-- Returns for each check two numbers, in the same form: by how much a rate is over its span, or 1 for a quota that is, 0 when admitted, -1 when the group
-- is undecided for want of a quota's beginning, and less than that the number, below 0, that was taken up front; and how much is used after the decision.
local call, read, show, max, floor = redis.call, struct.unpack, string.format, math.max, math.floor
local args = ARGV[1]
local t = call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])

local value, before, dirty = call('MGET', unpack(KEYS)), {}, {} -- what is no text, or no number of a counter's, is as good as nothing
for i = 1, #KEYS do
  local v = tonumber(value[i] or '')
  value[i] = v and v >= 0 and v < 9007199254740992 and v or nil
  before[i] = value[i]
end

local told, a = read('<d', args)
for _ = 1, told do
  local k, start, owed
  k, start, owed, a = read('<ddd', args, a)
  if start <= -2 then
    if value[k] then
      value[k] = max(value[k], now) + owed
    else
      value[k] = now - start - 2
    end
    dirty[k] = true
  elseif value[k] then
    if owed ~= 0 then
      value[k] = max(value[k] + owed, 0)
      dirty[k] = true
    end
  elseif start >= 0 then
    value[k] = start
    dirty[k] = true -- known from now on, whatever becomes of the group
  else
    value[k] = -1
  end
end

local ends, out, n = {}, {}, 0
local at, mosts, tills, saved = {}, {}, {}, {} -- of the group's checks
local groups
groups, a = read('<d', args, a)
for _ = 1, groups do
  local size
  size, a = read('<d', args, a)
  local admitted, known = size > 0, true
  size = math.abs(size)
  for c = 1, size do
    local k, most, need, till
    k, most, need, till, a = read('<dddd', args, a)
    at[c], mosts[c], tills[c] = k, most, till
    local over, used
    if till > 0 then
      ends[k] = till
      saved[c] = value[k]
      over, used = 0, value[k]
      local part = need < 0
      if part then
        need = math.min(-need, floor((most - used) / 64))
      end
      if used < 0 then
        known = false
      elseif used + need > most or part and need < 2 then
        over = 1
      else
        used = used + need
        value[k] = used
        if part then
          over = -need
        end
      end
    else
      local tat = value[k] or 0
      if tat > now + most then -- the clock fell back or the limit was lowered: the counter must not be stuck
        tat = now + most
        dirty[k] = true
      end
      saved[c] = tat
      local was = max(tat, now)
      over, used = max(was + need - now - most - till, 0), was - now
      if over == 0 then
        tat = was + need
        used = tat - now
      end
      value[k] = tat
    end
    if over > 0 then
      admitted = false
    end
    out[n + 2 * c - 1] = over
    out[n + 2 * c] = used
  end
  if admitted and known then
    for c = 1, size do
      dirty[at[c]] = true
    end
  else
    for c = size, 1, -1 do
      value[at[c]] = saved[c]
    end
    for c = 1, size do
      if not known then
        out[n + 2 * c - 1] = -1
      elseif out[n + 2 * c - 1] == 0 then -- would have been admitted, is not spent
        local v = value[at[c]]
        if tills[c] <= 0 then
          v = math.min(max(v, now), now + mosts[c]) - now
        end
        out[n + 2 * c] = v
      end
    end
  end
  n = n + 2 * size
end

for k in pairs(dirty) do -- value and end of life in one command: no counter outlives its use
  local was, till, same = before[k], ends[k], false
  if till then -- an hour longer, for replicas whose clocks are late
    same = was and now < till
    till = max(till, now) + 3600000000
  else
    local second = floor(max(value[k], now) / 1000000) -- rate.lua knows: all of a second end together
    same = was and floor(was / 1000000) == second
    till = second * 1000000 + 2000000
  end
  if same then
    call('SET', KEYS[k], show('%d', value[k]), 'KEEPTTL')
  else
    call('SET', KEYS[k], show('%d', value[k]), 'PXAT', show('%d', till / 1000))
  end
end
return struct.pack('<' .. string.rep('d', n), unpack(out, 1, n))
