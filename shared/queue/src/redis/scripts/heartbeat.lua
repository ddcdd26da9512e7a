-- KEYS workers worker; ARGV id heartbeat seconds entry view [known_jobs]
-- Records that a worker is alive and what one of its queues does. Returns whether the worker must drain, and whether the
-- registry has its known jobs: a worker sends them once, and again after Redis lost them. The first write needs no memory, so
-- that a full Redis takes it: see `queue.lua`.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '-inf')
local now, seconds = tonumber(redis.call('TIME')[1]), tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - seconds)
-- A heartbeat of the future: Redis' clock has stepped back. Live workers send another one.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now + 1, '+inf')) do redis.call('ZADD', KEYS[1], now, id) end
redis.call('EXPIRE', KEYS[1], seconds)
redis.call('HSET', KEYS[2], 'heartbeat', ARGV[2], ARGV[4], ARGV[5])
if ARGV[6] then redis.call('HSET', KEYS[2], 'known_jobs', ARGV[6]) end
redis.call('EXPIRE', KEYS[2], seconds)
return { redis.call('HEXISTS', KEYS[2], 'drain'), redis.call('HEXISTS', KEYS[2], 'known_jobs') }
