-- KEYS messages leases claims wake ready:0..ready:9; ARGV (id number delay_ms)...
-- Gives back what this owner holds: at once to the front of its list, or when the delay is over, by the reaper.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local released = 0
for i = 1, #ARGV, 3 do
  local id, delay = ARGV[i], tonumber(ARGV[i + 2])
  local before = tonumber(redis.call('HGET', KEYS[3], id) or 0)
  if before + 1 == tonumber(ARGV[i + 1]) and redis.call('ZSCORE', KEYS[2], id) then
    released = released + 1
    if delay > 0 then
      redis.call('ZADD', KEYS[2], now + delay, id)
    else
      redis.call('ZREM', KEYS[2], id)
      local message = redis.call('HGET', KEYS[1], id)
      if message then
        redis.call('HINCRBY', KEYS[3], id, 1)
        redis.call('LPUSH', KEYS[5 + tonumber(string.sub(message, 1, 1))], id)
        if redis.call('LLEN', KEYS[4]) < 8 then redis.call('RPUSH', KEYS[4], 1) redis.call('EXPIRE', KEYS[4], 60) end
      end
    end
  end
end
return released
