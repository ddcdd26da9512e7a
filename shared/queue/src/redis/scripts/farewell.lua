-- KEYS workers worker; ARGV id line
-- This line of the worker is over; with its last one the worker is gone.
redis.call('HDEL', KEYS[2], ARGV[2])
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.sub(field, 1, 5) == 'line:' then return 0 end
end
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
