-- ARGV lease_ms id...
-- Which of these are leased: 1 or 0 for each. Where a queue's last worker is gone nobody reaps what has run out: it does
-- not count.
local at = now(ARGV[1])
local ends = redis.call('ZMSCORE', leases, unpack(ARGV, 2))
for i, stop in ipairs(ends) do ends[i] = stop and tonumber(stop) > at and 1 or 0 end
return ends
