-- What stands before every script: its keys, always the same ones, and what several of them do.
-- One line a fair key and priority, <turns:N>:<key>: its name is computed, within the hash tag and so in this slot.
-- turns:N is the ring of those keys of priority N that have a line, but for the parked ones, whose limit is reached.
local messages, leases, delayed, claims, strikes, running, counts, parked, limits, bucket, acked, wake, clock, alone, outside =
  KEYS[1], KEYS[2], KEYS[3], KEYS[4], KEYS[5], KEYS[6], KEYS[7], KEYS[8], KEYS[9], KEYS[10], KEYS[11], KEYS[12], KEYS[13], KEYS[14], KEYS[15]
local function turns(priority) return KEYS[16 + priority] end
local function line(priority, key) return turns(priority) .. ':' .. key end

-- Goes first in every script but push.lua. A Redis that is full refuses what needs memory, but only as the first
-- write of a script; this one needs none. So a push is refused, and whoever holds a job keeps it and ends it.
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

-- A message is its priority, the length of its key, ':', the key, the payload.
local function address(message)
  local _, stop, priority, length = string.find(message, '^(%d)(%d+):')
  return tonumber(priority), string.sub(message, stop + 1, stop + tonumber(length))
end

-- Back to the front of its line, or to its end.
local function put_back(id, message, to_the_end)
  local priority, key = address(message)
  if redis.call(to_the_end and 'RPUSH' or 'LPUSH', line(priority, key), id) == 1 then redis.call('RPUSH', turns(priority), key) end
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

-- strikes: of a job the deliveries that ended without success, each a number and how: b, its worker was lost with other
-- jobs beside it; a, with this one alone; f, it failed. Those beside others may be others' doing, so only the first two
-- count (or fewer, where fewer deliveries are enough): from then on the job runs alone.
local function company(max) return math.max(1, math.min(2, max - 1)) end

local function count(struck)
  local beside, own = 0, 0
  for how in string.gmatch(struck, '%a') do
    if how == 'b' then beside = beside + 1 else own = own + 1 end
  end
  return beside, own
end

local function worn_out(struck, max)
  local beside, own = count(struck)
  return own > 0 and beside + own >= max
end

local function strike(id, struck, number, how, max)
  if how ~= 'b' or count(struck) < company(max) then
    struck = struck .. number .. how
    redis.call('HSET', strikes, id, struck)
  end
  return struck
end

-- Whoever had this delivery lives.
local function forgive(id, number)
  local struck = redis.call('HGET', strikes, id)
  if not struck then return end
  local left = ''
  for one, how in string.gmatch(struck, '(%d+)(%a)') do
    if how == 'f' or tonumber(one) ~= number then left = left .. one .. how end
  end
  if left == '' then redis.call('HDEL', strikes, id)
  elseif left ~= struck then redis.call('HSET', strikes, id, left) end
end

