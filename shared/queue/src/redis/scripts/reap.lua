-- ARGV limit max_deliveries lease_ms dead_letter_lease_ms
-- Leases and delays that ran out: back to the front of the line, and those that have used up their deliveries to the
-- caller (id, deliveries before, failed deliveries, message, ...), under a lease of its own until it has stored them as dead letters. Returns how many
-- went back, these, and the deliveries that were lost (id, number, whether it was alone, ...).
local at = now(ARGV[3])
local max = tonumber(ARGV[2])
local back, out, gone = 0, {}, {}
for _, ended in ipairs({ leases, delayed }) do
  for _, id in ipairs(redis.call('ZRANGEBYSCORE', ended, '-inf', at, 'LIMIT', 0, ARGV[1])) do
    -- see release.lua
    local left_to_others = ended == delayed and redis.call('ZSCORE', delayed, id) % 1 > 0
    redis.call('ZREM', ended, id)
    free_key(id)
    local message = redis.call('HGET', messages, id)
    if not message then
      redis.call('HDEL', deliveries, id)
      redis.call('HDEL', failed_deliveries, id)
      redis.call('HDEL', alone, id)
    else
      local number = redis.call('HINCRBY', deliveries, id, 1)
      local failed = redis.call('HGET', failed_deliveries, id) or ''
      -- storing a dead letter may outlast its lease: that is no delivery
      if ended == leases and not worn_out(failed, max) then
        local was_alone = redis.call('HGET', alone, id) == tostring(number)
        gone[#gone + 1] = id
        gone[#gone + 1] = number
        gone[#gone + 1] = was_alone and 1 or 0
        failed = record_failure(id, failed, number, was_alone and 'a' or 'b', max)
      end
      redis.call('HDEL', alone, id)
      if worn_out(failed, max) then
        redis.call('ZADD', leases, at + ARGV[4], id)
        out[#out + 1] = id
        out[#out + 1] = number
        out[#out + 1] = failed
        out[#out + 1] = message
      else
        put_back(id, message, left_to_others)
        back = back + 1
      end
    end
  end
end
if back > 0 then wake_one() end
forget_the_clock_of_an_empty_queue()
return { back, out, gone }
