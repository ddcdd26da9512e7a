-- ARGV id number
-- Records that nothing runs beside this delivery: if its worker is lost now, this job is to blame. Returns 0 if another worker
-- has the job.
when_full_too()
if tonumber(redis.call('HGET', deliveries, ARGV[1]) or 0) + 1 ~= tonumber(ARGV[2]) then return 0 end
if not redis.call('ZSCORE', leases, ARGV[1]) then return 0 end
redis.call('HSET', alone, ARGV[1], ARGV[2])
return 1
