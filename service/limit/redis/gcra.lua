-- Decides groups of checks by the generic cell rate algorithm; limit.decide says the same in Go. Redis 7.0.
-- KEYS: every counter, each once. ARGV: the number of groups, then for each group its size and for each of its checks the
-- counter's place in KEYS, the span (burst intervals) and the need (cost intervals), in microseconds.
-- Returns for each check two numbers of microseconds: by how much it is over the span (0 is admitted), and how much is used.
local t = redis.call('TIME')
local now = tonumber(t[1]) * 1000000 + tonumber(t[2])

local tat, dirty = {}, {}
for i = 1, #KEYS do
  local v = redis.pcall('GET', KEYS[i])
  if type(v) == 'table' then -- something else lives under the counter's name: it cannot be one
    redis.call('UNLINK', KEYS[i])
    v = nil
  end
  v = tonumber(v or '')
  if not v or not (v >= 0 and v < 9007199254740992) then
    v = 0
  end
  tat[i] = v
end

local out, a = {}, 2
for _ = 1, tonumber(ARGV[1]) do
  local size, from = tonumber(ARGV[a]), a + 1
  local saved, admitted = {}, true
  for c = 0, size - 1 do
    local k, span, need = tonumber(ARGV[from + 3 * c]), tonumber(ARGV[from + 3 * c + 1]), tonumber(ARGV[from + 3 * c + 2])
    if tat[k] > now + span then -- the clock fell back or the limit was lowered: the counter must not be stuck
      tat[k] = now + span
      dirty[k] = true
    end
    local was = math.max(tat[k], now)
    local over = was + need - now - span
    saved[c] = tat[k]
    if over > 0 then
      admitted = false
      out[#out + 1] = over
      out[#out + 1] = was - now
    else
      tat[k] = was + need
      out[#out + 1] = 0
      out[#out + 1] = was + need - now
    end
  end
  if admitted then
    for c = 0, size - 1 do
      dirty[tonumber(ARGV[from + 3 * c])] = true
    end
  else
    for c = size - 1, 0, -1 do
      tat[tonumber(ARGV[from + 3 * c])] = saved[c]
    end
    local base = #out - 2 * size
    for c = 0, size - 1 do
      if out[base + 2 * c + 1] == 0 then -- would have been admitted, is not spent
        local k, span = tonumber(ARGV[from + 3 * c]), tonumber(ARGV[from + 3 * c + 1])
        out[base + 2 * c + 2] = math.min(math.max(tat[k], now), now + span) - now
      end
    end
  end
  a = from + 3 * size
end

for k in pairs(dirty) do -- value and end of life in one command: no counter outlives its use
  redis.call('SET', KEYS[k], string.format('%.0f', tat[k]), 'PX', math.ceil((tat[k] - now) / 1000) + 1000)
end
return out
