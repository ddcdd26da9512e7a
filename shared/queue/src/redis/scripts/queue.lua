-- The preamble of every script: its keys, which are always the same, and shared functions.
-- There is one ready list per priority and fair key, <ready:N>:<key>. Its name is computed, within the hash tag and so in
-- this slot. ready:N is the ring of the keys of priority N that have a ready list, but for the throttled ones, whose limit
-- is reached. deliveries counts the deliveries of a job that have ended.
local messages, leases, delayed, deliveries, failed_deliveries, running, counts, throttled, limits, rate_bucket, acked, wake, clock, alone, outside =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local function ready_keys(priority) return KEYS[16 + priority] end
local function ready_list(priority, key) return ready_keys(priority) .. ':' .. key end

-- Goes first in every script but push.lua. A full Redis refuses a script whose first write needs memory; this write needs
-- none. So a full Redis refuses pushes only: leases are still renewed, ended and reaped.
local function when_full_too() redis.call('ZREM', leases, '') end

-- Milliseconds, as this queue counts them: Redis' clock may step, and no lease may end, or last, because of that. The
-- queue's goes on by what has passed since it was last asked, by a third of a lease at most, and never back. Workers
-- ask all the time; a silence longer than that is a step, or nobody could have renewed a lease in it.
-- clock: what Redis' clock showed, and what this one did; there is one as long as the queue has jobs.
local function now(lease)
  when_full_too()
  local time = redis.call('TIME')
  local shows = time[1] * 1000 + math.floor(time[2] / 1000)
  local known = redis.call('GET', clock)
  if not known then return shows, shows end
  local showed, counted = string.match(known, '^(%d+) (%d+)$')
  local passed = shows - showed
  local at = counted + math.max(0, math.min(passed, math.floor(lease / 3)))
  if passed < 0 or passed >= 100 then redis.call('SET', clock, string.format('%.0f %.0f', shows, at)) end
  return at, shows
end

local function forget_the_clock_of_an_empty_queue()
  if redis.call('EXISTS', messages) == 0 then redis.call('DEL', clock) end
end

local function wake_one()
  if redis.call('LLEN', wake) < 8 then redis.call('RPUSH', wake, 1) redis.call('EXPIRE', wake, 60) end
end

-- A message is the priority, the length of the key, ':', the key, the payload.
local function address(message)
  local _, stop, priority, length = string.find(message, '^(%d)(%d+):')
  return tonumber(priority), string.sub(message, stop + 1, stop + tonumber(length))
end

-- Puts a job back to the front of its ready list, or to the end.
local function put_back(id, message, to_the_end)
  local priority, key = address(message)
  if redis.call(to_the_end and 'RPUSH' or 'LPUSH', ready_list(priority, key), id) == 1 then redis.call('RPUSH', ready_keys(priority), key) end
end

local function unthrottle(key, priorities)
  for priority in string.gmatch(priorities, '%d') do redis.call('RPUSH', ready_keys(tonumber(priority)), key) end
end

-- The job does not run any more: its key has room for another one.
local function free_key(id)
  local key = redis.call('HGET', running, id)
  if not key then return end
  redis.call('HDEL', running, id)
  if redis.call('HINCRBY', counts, key, -1) <= 0 then redis.call('HDEL', counts, key) end
  local priorities = redis.call('HGET', throttled, key)
  if priorities then
    redis.call('HDEL', throttled, key)
    unthrottle(key, priorities)
    wake_one()
  end
end

-- failed_deliveries: the deliveries of a job that ended without success, each its number and a letter. b: the worker was
-- lost while other jobs ran beside this one; a: while this one ran alone; f: the job failed. Another job may have caused a b,
-- so only the first two of them count (or fewer, if fewer deliveries are allowed): from then on the job runs alone.
local function max_shared_failures(max) return math.max(1, math.min(2, max - 1)) end

local function count(failed)
  local beside, own = 0, 0
  for how in string.gmatch(failed, '%a') do
    if how == 'b' then beside = beside + 1 else own = own + 1 end
  end
  return beside, own
end

local function worn_out(failed, max)
  local beside, own = count(failed)
  return own > 0 and beside + own >= max
end

local function record_failure(id, failed, number, how, max)
  if how ~= 'b' or count(failed) < max_shared_failures(max) then
    failed = failed .. number .. how
    redis.call('HSET', failed_deliveries, id, failed)
  end
  return failed
end

-- The worker of this delivery is alive: it was not lost.
local function clear_failure(id, number)
  local failed = redis.call('HGET', failed_deliveries, id)
  if not failed then return end
  local left = ''
  for one, how in string.gmatch(failed, '(%d+)(%a)') do
    if how == 'f' or tonumber(one) ~= number then left = left .. one .. how end
  end
  if left == '' then redis.call('HDEL', failed_deliveries, id)
  elseif left ~= failed then redis.call('HSET', failed_deliveries, id, left) end
end

