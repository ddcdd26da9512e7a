-- KEYS leases claims messages; ARGV lease_ms (id number)...
-- Returns the ids that somebody else has or will get: the caller lost them.
local time = redis.call('TIME')
local deadline = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
local ids, lost = {}, {}
for i = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local claims = redis.call('HMGET', KEYS[2], unpack(ids))
local renewed = {}
for i, id in ipairs(ids) do
  if tonumber(claims[i] or 0) + 1 == tonumber(ARGV[2 * i + 1]) then
    renewed[#renewed + 1] = deadline
    renewed[#renewed + 1] = id
  elseif redis.call('HEXISTS', KEYS[3], id) == 1 then
    lost[#lost + 1] = id
  end
end
if #renewed > 0 then redis.call('ZADD', KEYS[1], 'XX', unpack(renewed)) end
return lost
