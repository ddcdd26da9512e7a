-- KEYS workers worker; ARGV id heartbeat seconds entry view [known_jobs]
-- Says that a worker lives and what one of its lines does; returns whether it was asked to drain, and whether it has said
-- which jobs it knows: once is enough, unless Redis loses it. What needs no memory goes first, so that a full Redis hears
-- it: see `queue.lua`.
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', '-inf')
local now, seconds = tonumber(redis.call('TIME')[1]), tonumber(ARGV[3])
redis.call('ZADD', KEYS[1], now, ARGV[1])
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - seconds)
-- Heard of in the future: Redis' clock has stepped back. Who lives will be heard of again.
for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[1], now + 1, '+inf')) do redis.call('ZADD', KEYS[1], now, id) end
redis.call('EXPIRE', KEYS[1], seconds)
redis.call('HSET', KEYS[2], 'heartbeat', ARGV[2], ARGV[4], ARGV[5])
if ARGV[6] then redis.call('HSET', KEYS[2], 'known_jobs', ARGV[6]) end
redis.call('EXPIRE', KEYS[2], seconds)
return { redis.call('HEXISTS', KEYS[2], 'drain'), redis.call('HEXISTS', KEYS[2], 'known_jobs') }
