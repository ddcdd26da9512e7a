-- KEYS workers worker; ARGV id entry
-- Removes one queue of a worker, and the worker with its last queue.
redis.call('HDEL', KEYS[2], ARGV[2])
for _, field in ipairs(redis.call('HKEYS', KEYS[2])) do
  if string.sub(field, 1, 6) == 'queue:' then return 0 end
end
redis.call('DEL', KEYS[2])
redis.call('ZREM', KEYS[1], ARGV[1])
return 1
