-- KEYS messages leases claims wake ready:0..ready:9 strikes; ARGV limit max_strikes lease_ms
-- Leases that ran out: back to the front of the list, and those that killed too many owners to the caller
-- (id, claims before, message, ...), under a lease of its own until it has buried them.
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local ids = redis.call('ZRANGEBYSCORE', KEYS[2], '-inf', now, 'LIMIT', 0, ARGV[1])
local back, out = 0, {}
for _, id in ipairs(ids) do
  local message = redis.call('HGET', KEYS[1], id)
  if not message then
    redis.call('ZREM', KEYS[2], id)
    redis.call('HDEL', KEYS[3], id)
    redis.call('HDEL', KEYS[15], id)
  else
    local claims = redis.call('HINCRBY', KEYS[3], id, 1)
    if redis.call('HINCRBY', KEYS[15], id, 1) >= tonumber(ARGV[2]) then
      redis.call('ZADD', KEYS[2], now + ARGV[3], id)
      out[#out + 1] = id
      out[#out + 1] = claims
      out[#out + 1] = message
    else
      redis.call('ZREM', KEYS[2], id)
      redis.call('LPUSH', KEYS[5 + tonumber(string.sub(message, 1, 1))], id)
      back = back + 1
    end
  end
end
if back > 0 and redis.call('LLEN', KEYS[4]) < 8 then redis.call('RPUSH', KEYS[4], 1) redis.call('EXPIRE', KEYS[4], 60) end
return { back, out }
