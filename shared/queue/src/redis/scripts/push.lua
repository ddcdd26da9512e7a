-- KEYS messages ready wake; ARGV (id message)...
-- A known id is not pushed twice, so a push may be repeated.
local fresh = {}
for i = 1, #ARGV, 2 do
  if redis.call('HSETNX', KEYS[1], ARGV[i], ARGV[i + 1]) == 1 then fresh[#fresh + 1] = ARGV[i] end
end
if #fresh > 0 then
  redis.call('RPUSH', KEYS[2], unpack(fresh))
  if redis.call('LLEN', KEYS[3]) < 8 then redis.call('RPUSH', KEYS[3], 1) redis.call('EXPIRE', KEYS[3], 60) end
end
return #fresh
