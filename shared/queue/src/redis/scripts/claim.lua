-- KEYS messages leases claims wake ready:0..ready:9; ARGV lease_ms count from_lowest
-- Returns id, claims before this one, message, ... The deadline is in the time of this server.
local time = redis.call('TIME')
local deadline = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[1]
local want = tonumber(ARGV[2])
local out = {}
local taken = 0
local first, last, step = 5, 14, 1
if ARGV[3] == '1' then first, last, step = 14, 5, -1 end
for list = first, last, step do
  local ids = redis.call('LPOP', KEYS[list], want - taken)
  if ids then
    taken = taken + #ids
    local messages = redis.call('HMGET', KEYS[1], unpack(ids))
    local claims = redis.call('HMGET', KEYS[3], unpack(ids))
    local leased = redis.call('ZMSCORE', KEYS[2], unpack(ids))
    local leases = {}
    for i, id in ipairs(ids) do
      if messages[i] and not leased[i] then
        leases[#leases + 1] = deadline
        leases[#leases + 1] = id
        out[#out + 1] = id
        out[#out + 1] = tonumber(claims[i] or 0)
        out[#out + 1] = messages[i]
      end
    end
    if #leases > 0 then redis.call('ZADD', KEYS[2], unpack(leases)) end
    if taken >= want then
      -- a full batch: there may be more, so wake the next worker
      for other = 5, 14 do
        if redis.call('EXISTS', KEYS[other]) == 1 then
          if redis.call('LLEN', KEYS[4]) < 8 then redis.call('RPUSH', KEYS[4], 1) redis.call('EXPIRE', KEYS[4], 60) end
          break
        end
      end
      break
    end
  end
end
return out
