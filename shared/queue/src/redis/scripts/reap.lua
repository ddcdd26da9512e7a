-- ARGV limit max_strikes lease_ms
-- Leases and delays that ran out: back to the front of the line, and those that killed too many owners to the caller
-- (id, claims before, message, ...), under a lease of its own until it has buried them.
local at = now(ARGV[3])
local back, out = 0, {}
for _, ended in ipairs({ leases, delayed }) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', ended, '-inf', at, 'LIMIT', 0, ARGV[1])) do
    redis.call('ZREM', ended, id)
    leave(id)
    local message = redis.call('HGET', messages, id)
    if not message then
      redis.call('HDEL', claims, id)
      redis.call('HDEL', strikes, id)
    else
      local before = redis.call('HINCRBY', claims, id, 1)
      if redis.call('HINCRBY', strikes, id, 1) >= tonumber(ARGV[2]) then
        redis.call('ZADD', leases, at + ARGV[3], id)
        out[#out + 1] = id
        out[#out + 1] = before
        out[#out + 1] = message
      else
        put_back(id, message)
        back = back + 1
      end
    end
  end
end
if back > 0 then wake_one() end
forget_the_clock_of_an_empty_queue()
return { back, out }
