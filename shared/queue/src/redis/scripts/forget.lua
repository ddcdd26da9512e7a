-- ARGV lease_ms priority key from count id...; an empty priority: they are in no line
-- Jobs that are not to be done any more leave everything, but for those whose lease goes on: these are their owner's.
-- They were seen in the line at from, count of them; what has moved further than a thousand places since is a name
-- without a message, which nobody is given. Returns the ids that are gone, and how many of them that line lost.
local at = now(ARGV[1])
local gone, ids = {}, {}
for i = 6, #ARGV do
  local ends = redis.call('ZSCORE', leases, ARGV[i])
  if not ends or tonumber(ends) <= at then
    gone[ARGV[i]] = true
    ids[#ids + 1] = ARGV[i]
  end
end
if #ids == 0 then return { ids, 0 } end
if redis.call('EXISTS', running) == 1 then
  for _, id in ipairs(ids) do free_key(id) end
end
for _, key in ipairs({ messages, deliveries, failed_deliveries, alone }) do redis.call('HDEL', key, unpack(ids)) end
redis.call('ZREM', delayed, unpack(ids))
if redis.call('ZREM', leases, unpack(ids)) > 0 then wake_one() end
local taken = 0
if ARGV[2] ~= '' then
  local name, from = ready_list(tonumber(ARGV[2]), ARGV[3]), math.max(0, ARGV[4] - 1000)
  for i, id in ipairs(redis.call('LRANGE', name, from, ARGV[4] + ARGV[5] + 1000)) do
    if gone[id] then
      redis.call('LSET', name, from + i - 1, '')
      taken = taken + 1
    end
  end
  if taken > 0 then redis.call('LREM', name, 0, '') end
  if redis.call('EXISTS', name) == 0 then
    redis.call('LREM', ready_keys(tonumber(ARGV[2])), 0, ARGV[3])
    local priorities = redis.call('HGET', throttled, ARGV[3])
    if priorities then
      priorities = string.gsub(priorities, ARGV[2], '')
      if priorities == '' then redis.call('HDEL', throttled, ARGV[3]) else redis.call('HSET', throttled, ARGV[3], priorities) end
    end
  end
end
forget_the_clock_of_an_empty_queue()
return { ids, taken }
