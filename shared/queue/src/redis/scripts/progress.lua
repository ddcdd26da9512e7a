-- KEYS job...; ARGV seconds progress...
-- What needs no memory goes first, so that a full Redis takes it: see `queue.lua`.
for i, job in ipairs(KEYS) do
  redis.call('DEL', job)
  redis.call('SET', job, ARGV[i + 1], 'EX', ARGV[1])
end
