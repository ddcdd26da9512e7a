-- ARGV lease_ms (id number delay_ms)...
-- Gives back what this owner holds: at once to the front of its line, or when the delay is over, by the reaper.
local at = now(ARGV[1])
local released = 0
for i = 2, #ARGV, 3 do
  local id, delay = ARGV[i], tonumber(ARGV[i + 2])
  local before = tonumber(redis.call('HGET', claims, id) or 0)
  if before + 1 == tonumber(ARGV[i + 1]) and redis.call('ZREM', leases, id) == 1 then
    released = released + 1
    leave(id)
    local message = redis.call('HGET', messages, id)
    if message and delay > 0 then
      redis.call('ZADD', delayed, at + delay, id)
    elseif message then
      redis.call('HINCRBY', claims, id, 1)
      put_back(id, message)
    end
  end
end
if released > 0 then wake_one() end
return released
