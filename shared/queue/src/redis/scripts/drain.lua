-- KEYS worker
-- Asks a worker that lives to take no more jobs.
if redis.call('EXISTS', KEYS[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'drain', 1)
return 1
