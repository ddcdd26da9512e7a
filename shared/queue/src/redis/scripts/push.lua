-- ARGV priority (id key message)...
-- A known id is not pushed twice, so a push may be repeated.
local priority = tonumber(ARGV[1])
local fresh, last, ids = 0, nil, {}
local function append()
  if #ids == 0 then return end
  if redis.call('RPUSH', line(priority, last), unpack(ids)) == #ids then redis.call('RPUSH', turns(priority), last) end
  fresh = fresh + #ids
  ids = {}
end
for i = 2, #ARGV, 3 do
  if redis.call('HSETNX', messages, ARGV[i], ARGV[i + 2]) == 1 then
    if ARGV[i + 1] ~= last then append() end
    last = ARGV[i + 1]
    ids[#ids + 1] = ARGV[i]
  end
end
append()
if fresh > 0 then wake_one() end
return fresh
