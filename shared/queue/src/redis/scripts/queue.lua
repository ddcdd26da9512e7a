-- What stands before every script: its keys, always the same ones, and what several of them do.
-- One line a fair key and priority, <turns:N>:<key>: its name is computed, within the hash tag and so in this slot.
-- turns:N is the ring of those keys of priority N that have a line, but for the parked ones, whose limit is reached.
local messages, leases, delayed, claims, strikes, running, counts, parked, limits, bucket, acked, wake =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12]
local function turns(priority) return KEYS[13 + priority] end
local function line(priority, key) return turns(priority) .. ':' .. key end

local function now()
  local time = redis.call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

local function wake_one()
  if redis.call('LLEN', wake) < 8 then redis.call('RPUSH', wake, 1) redis.call('EXPIRE', wake, 60) end
end

-- A message is its priority, the length of its key, ':', the key, the payload.
local function address(message)
  local _, stop, priority, length = string.find(message, '^(%d)(%d+):')
  return tonumber(priority), string.sub(message, stop + 1, stop + tonumber(length))
end

-- Back to the front of its line.
local function put_back(id, message)
  local priority, key = address(message)
  if redis.call('LPUSH', line(priority, key), id) == 1 then redis.call('RPUSH', turns(priority), key) end
end

local function unpark(key, priorities)
  for priority in string.gmatch(priorities, '%d') do redis.call('RPUSH', turns(tonumber(priority)), key) end
end

-- This job does not run any more: its key has room for another one.
local function leave(id)
  local key = redis.call('HGET', running, id)
  if not key then return end
  redis.call('HDEL', running, id)
  if redis.call('HINCRBY', counts, key, -1) <= 0 then redis.call('HDEL', counts, key) end
  local priorities = redis.call('HGET', parked, key)
  if priorities then
    redis.call('HDEL', parked, key)
    unpark(key, priorities)
    wake_one()
  end
end

