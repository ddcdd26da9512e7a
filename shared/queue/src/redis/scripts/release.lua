-- ARGV lease_ms max_deliveries (id number delay_ms how)...
-- Gives back what this owner holds: at once to the front of its line, or when the delay is over, by the reaper. A failure
-- (how: 1) is a failed delivery, a mere wait is not. What its owner cannot read (2) goes to the end of its line then, behind what
-- it can: half a millisecond says so.
local at = now(ARGV[1])
local released = 0
for i = 3, #ARGV, 4 do
  local id, number, delay = ARGV[i], tonumber(ARGV[i + 1]), tonumber(ARGV[i + 2])
  local before = tonumber(redis.call('HGET', deliveries, id) or 0)
  if before + 1 == number and redis.call('ZREM', leases, id) == 1 then
    released = released + 1
    free_key(id)
    redis.call('HDEL', alone, id)
    local message = redis.call('HGET', messages, id)
    if message and ARGV[i + 3] == '1' then
      record_failure(id, redis.call('HGET', failed_deliveries, id) or '', number, 'f', tonumber(ARGV[2]))
    end
    if message and delay > 0 then
      redis.call('ZADD', delayed, at + delay + (ARGV[i + 3] == '2' and 0.5 or 0), id)
    elseif message then
      redis.call('HINCRBY', deliveries, id, 1)
      put_back(id, message)
    end
  end
end
if released > 0 then wake_one() end
return released
