-- Decides checks of one rate each, every one by itself, as take.lua does: what most batches are. Redis 7.0.
-- KEYS: the counters, each once.
-- ARGV: one text of numbers, each a double of eight bytes, least byte first: for each counter the span (burst intervals) and the need (cost
-- intervals), in microseconds.
-- Returns for each how much of the span is used: after it when it was admitted; -1 less what is used when it was not. A single one is
-- an integer, several are a text in the same form.
local call, read, show, min, floor = redis.call, struct.unpack, string.format, math.min, math.floor
local time = call('TIME')
local now = time[1] * 1000000 + time[2]
local stored, args, at, out = call('MGET', unpack(KEYS)), ARGV[1], 1, {}
for i = 1, #KEYS do
  local span, need
  span, need, at = read('<dd', args, at)
  local tat, was = tonumber(stored[i] or ''), now
  if tat and tat > now and tat < 9007199254740992 then -- anything else is as good as nothing
    was = min(tat, now + span) -- the clock fell back or the limit was lowered: the counter must not be stuck
  end
  local used = was + need - now
  if used <= span then
    was = was + need
    out[i] = used
  else
    out[i] = now - was - 1
  end
  if was ~= tat and was > now then -- value and end of life in one command: no counter outlives its use
    local second = floor(was / 1000000)
    if tat and second == floor(tat / 1000000) then -- the same end
      call('SET', KEYS[i], show('%d', was), 'KEEPTTL')
    else
      call('SET', KEYS[i], show('%d', was), 'PXAT', show('%d', second * 1000 + 2000))
    end
  end
end
if #out == 1 then
  return out[1]
end
return struct.pack('<' .. string.rep('d', #out), unpack(out))
