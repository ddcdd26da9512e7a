-- ARGV id number
-- Nothing else runs beside this delivery: if its worker is lost now, that is this job's doing. 0: it has another owner.
when_full_too()
if tonumber(redis.call('HGET', claims, ARGV[1]) or 0) + 1 ~= tonumber(ARGV[2]) then return 0 end
if not redis.call('ZSCORE', leases, ARGV[1]) then return 0 end
redis.call('HSET', alone, ARGV[1], ARGV[2])
return 1
