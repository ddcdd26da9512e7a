-- ARGV version paused concurrency rate burst key_concurrency; an empty value means no limit
-- Sets the queue's limits and whether it is paused, unless a later version is set already. Returns 1 if anything changed.
when_full_too()
local known = redis.call('HGET', limits, 'version')
if known and tonumber(known) > tonumber(ARGV[1]) then return 0 end
local names = { 'version', 'paused', 'concurrency', 'rate', 'burst', 'key_concurrency' }
local set, changed, any = {}, false, false
local old = redis.call('HMGET', limits, unpack(names))
for i, name in ipairs(names) do
  if ARGV[i] ~= '' then set[#set + 1] = name set[#set + 1] = ARGV[i] end
  if i > 1 then
    any = any or ARGV[i] ~= ''
    changed = changed or (old[i] or '') ~= ARGV[i]
  end
end
if not changed then
  if any then redis.call('HSET', limits, 'version', ARGV[1]) end
  return 0
end
redis.call('DEL', limits)
if any then redis.call('HSET', limits, unpack(set)) end
local waiting = redis.call('HGETALL', throttled)
for i = 1, #waiting, 2 do unthrottle(waiting[i], waiting[i + 1]) end
redis.call('DEL', throttled)
wake_one()
return 1
