-- KEYS worker
-- Asks a worker that lives to take no more jobs. What needs memory goes second: see `queue.lua`.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HDEL', KEYS[1], 'drain')
redis.call('HSET', KEYS[1], 'drain', 1)
return 1
