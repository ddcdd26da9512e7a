-- ARGV lease_ms count from_lowest
-- Returns { throttle, stuck, { id, deliveries before this one, failed deliveries, message, ... } }. throttle: 0 none, -1 paused,
-- -2 a limit is reached, else the milliseconds until the next job may start. stuck: jobs wait and nothing explains why none is
-- leased.
local at, shows = now(ARGV[1])
local asked = tonumber(ARGV[2])
local want = asked
local paused, concurrency, rate, burst, per_key
if redis.call('EXISTS', limits) == 1 then
  local set = redis.call('HMGET', limits, 'paused', 'concurrency', 'rate', 'burst', 'key_concurrency')
  paused, concurrency, rate, burst, per_key = set[1], tonumber(set[2] or nil), tonumber(set[3] or nil), tonumber(set[4] or nil), tonumber(set[5] or nil)
end
if paused then return { -1, 0, {} } end
if concurrency then
  want = math.min(want, concurrency - redis.call('ZCARD', leases))
  if want <= 0 then return { -2, 0, {} } end
end
local tokens
if rate then
  local last = redis.call('HMGET', rate_bucket, 'tokens', 'at')
  tokens = burst
  if last[1] then
    tokens = math.min(burst, tonumber(last[1]) + math.max(0, at - tonumber(last[2])) * rate / 1000)
    -- the clock has stepped back while the queue was empty
    if at < tonumber(last[2]) then redis.call('HSET', rate_bucket, 'at', at) end
  end
  -- what is missing by rounding is there
  want = math.min(want, math.floor(tokens + 1e-6))
  if want <= 0 then return { math.max(1, math.ceil((1 - tokens) * 1000 / rate)), 0, {} } end
end

-- The keys take turns: each gets its share of the jobs that are wanted.
local ids, keys, started = {}, {}, {}
local first, last, step = 0, 9, 1
if ARGV[3] == '1' then first, last, step = 9, 0, -1 end
for priority = first, last, step do
  while #ids < want do
    local key = redis.call('LPOP', ready_keys(priority))
    if not key then break end
    local share = math.max(1, math.floor((want - #ids) / (redis.call('LLEN', ready_keys(priority)) + 1)))
    if per_key and key ~= '' then
      share = math.min(share, per_key - tonumber(redis.call('HGET', counts, key) or 0) - (started[key] or 0))
    end
    if share <= 0 then
      redis.call('HSET', throttled, key, (redis.call('HGET', throttled, key) or '') .. priority)
    else
      local popped = redis.call('LPOP', ready_list(priority, key), share) or {}
      for _, id in ipairs(popped) do
        ids[#ids + 1] = id
        keys[#ids] = key
      end
      started[key] = (started[key] or 0) + #popped
      if #popped == share and redis.call('EXISTS', ready_list(priority, key)) == 1 then redis.call('RPUSH', ready_keys(priority), key) end
    end
  end
  if #ids >= want then break end
end

local out = {}
if #ids > 0 then
  local found = redis.call('HMGET', messages, unpack(ids))
  local before = redis.call('HMGET', deliveries, unpack(ids))
  local leased = redis.call('ZMSCORE', leases, unpack(ids))
  local failed = redis.call('HMGET', failed_deliveries, unpack(ids))
  local new, runs, by_key = {}, {}, {}
  for i, id in ipairs(ids) do
    if found[i] and not leased[i] then
      new[#new + 1] = at + ARGV[1]
      new[#new + 1] = id
      out[#out + 1] = id
      out[#out + 1] = tonumber(before[i] or 0)
      out[#out + 1] = failed[i] or ''
      out[#out + 1] = found[i]
      if keys[i] ~= '' then
        runs[#runs + 1] = id
        runs[#runs + 1] = keys[i]
        by_key[keys[i]] = (by_key[keys[i]] or 0) + 1
      end
    end
  end
  if #new > 0 then
    redis.call('ZADD', leases, unpack(new))
    redis.call('SET', clock, string.format('%.0f %.0f', shows, at), 'NX')
  end
  if #runs > 0 then redis.call('HSET', running, unpack(runs)) end
  for key, count in pairs(by_key) do redis.call('HINCRBY', counts, key, count) end
  if tokens and #new > 0 then
    redis.call('HSET', rate_bucket, 'tokens', string.format('%.17g', tokens - #new / 2), 'at', at)
    redis.call('PEXPIRE', rate_bucket, math.ceil(burst * 1000 / rate) + 1000)
  end
  if #ids >= asked then
    -- a full batch: there may be more, so wake the next worker
    for priority = 0, 9 do
      if redis.call('EXISTS', ready_keys(priority)) == 1 then wake_one() break end
    end
  end
  return { 0, 0, out }
end
if redis.call('EXISTS', throttled) == 1 then return { -2, 0, out } end
local waiting = redis.call('HLEN', messages) - redis.call('ZCARD', leases) - redis.call('ZCARD', delayed)
return { 0, waiting > 0 and 1 or 0, out }
