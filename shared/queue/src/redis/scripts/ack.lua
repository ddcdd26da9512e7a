-- ARGV (id number)...
-- Removes jobs that their last owner acknowledges. Only a count stays, for a minute.
when_full_too()
local ids, own = {}, {}
for i = 1, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local before = redis.call('HMGET', deliveries, unpack(ids))
for i, id in ipairs(ids) do
  if tonumber(before[i] or 0) + 1 == tonumber(ARGV[2 * i]) then own[#own + 1] = id end
end
if #own == 0 then return 0 end
redis.call('ZREM', leases, unpack(own))
redis.call('ZREM', delayed, unpack(own))
redis.call('HDEL', messages, unpack(own))
redis.call('HDEL', deliveries, unpack(own))
redis.call('HDEL', failed_deliveries, unpack(own))
redis.call('HDEL', alone, unpack(own))
if redis.call('EXISTS', running) == 1 then
  for _, id in ipairs(own) do free_key(id) end
end
if redis.call('HEXISTS', limits, 'concurrency') == 1 then wake_one() end
local slot = math.floor(redis.call('TIME')[1] / 10)
if redis.call('HINCRBY', acked, slot, #own) == #own then
  for _, old in ipairs(redis.call('HKEYS', acked)) do
    if tonumber(old) < slot - 6 then redis.call('HDEL', acked, old) end
  end
end
redis.call('EXPIRE', acked, 60)
forget_the_clock_of_an_empty_queue()
return #own
