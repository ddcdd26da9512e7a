-- ARGV lease_ms (id number)...
-- Returns the ids that somebody else has or will get: the caller lost them. It lives, so that was not their doing.
local deadline = now(ARGV[1]) + ARGV[1]
local ids, lost = {}, {}
for i = 2, #ARGV, 2 do ids[#ids + 1] = ARGV[i] end
local before = redis.call('HMGET', deliveries, unpack(ids))
local renewed = {}
for i, id in ipairs(ids) do
  if tonumber(before[i] or 0) + 1 == tonumber(ARGV[2 * i + 1]) then
    renewed[#renewed + 1] = deadline
    renewed[#renewed + 1] = id
  elseif redis.call('HEXISTS', messages, id) == 1 then
    lost[#lost + 1] = id
    clear_failure(id, tonumber(ARGV[2 * i + 1]))
  end
end
if #renewed > 0 then redis.call('ZADD', leases, 'XX', unpack(renewed)) end
return lost
