-- KEYS messages leases claims strikes; ARGV (id number)...
-- What is acknowledged by its last owner leaves nothing behind.
local ids, own = {}, {}
for i = 1, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local claims = redis.call('HMGET', KEYS[3], unpack(ids))
for i, id in ipairs(ids) do
  if tonumber(claims[i] or 0) + 1 == tonumber(ARGV[2 * i]) then own[#own + 1] = id end
end
if #own > 0 then
  redis.call('ZREM', KEYS[2], unpack(own))
  redis.call('HDEL', KEYS[1], unpack(own))
  redis.call('HDEL', KEYS[3], unpack(own))
  redis.call('HDEL', KEYS[4], unpack(own))
end
return #own
