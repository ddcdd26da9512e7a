-- KEYS a list that somebody blocks on.
-- The first write needs no memory, so that a full Redis takes it: see `queue.lua`.
redis.call('LREM', KEYS[1], 1, '')
if redis.call('LLEN', KEYS[1]) < 8 then redis.call('RPUSH', KEYS[1], 1) redis.call('EXPIRE', KEYS[1], 60) end
return 1
