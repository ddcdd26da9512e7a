-- ARGV priority window how (id key message)... how: 1 a refill, 2 to the front of the lines, whatever the window
-- A known id is not pushed twice, so a push may be repeated. Returns how many were new, and the ids there was no place for.
-- A queue has `window` jobs here at most; beyond that each line still gets its share, so that a long one hides no other.
-- A line of which some had to stay outside lets in none that come later, until those have come in by a refill.
local priority, window, refill, front = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3] ~= '0', ARGV[3] == '2'
local held = redis.call('HLEN', messages)
local turned_away = not refill and redis.call('EXISTS', outside) == 1
local share
local function has_place(key, coming)
  if turned_away and redis.call('HEXISTS', outside, priority .. ':' .. key) == 1 then return false end
  if held < window then return true end
  if not share then
    local lines = redis.call('HLEN', throttled)
    for each = 0, 9 do lines = lines + redis.call('LLEN', ready_keys(each)) end
    share = math.max(16, math.floor(window / (lines + 1)))
  end
  return redis.call('LLEN', ready_list(priority, key)) + coming < share
end

local fresh, last, ids, away = 0, nil, {}, {}
local function append()
  if #ids == 0 then return end
  if front then
    for i = 1, math.floor(#ids / 2) do ids[i], ids[#ids + 1 - i] = ids[#ids + 1 - i], ids[i] end
  end
  if redis.call(front and 'LPUSH' or 'RPUSH', ready_list(priority, last), unpack(ids)) == #ids then redis.call('RPUSH', ready_keys(priority), last) end
  fresh = fresh + #ids
  ids = {}
end
for i = 4, #ARGV, 3 do
  local id, key = ARGV[i], ARGV[i + 1]
  if key ~= last then append() end
  last = key
  if front or (not turned_away and held < window) then
    if redis.call('HSETNX', messages, id, ARGV[i + 2]) == 1 then
      held = held + 1
      ids[#ids + 1] = id
    end
  elseif redis.call('HEXISTS', messages, id) == 0 then
    if has_place(key, #ids) then
      redis.call('HSET', messages, id, ARGV[i + 2])
      held = held + 1
      ids[#ids + 1] = id
    else
      redis.call('HSET', outside, priority .. ':' .. key, 1)
      turned_away = not refill
      away[#away + 1] = id
    end
  end
end
append()
if fresh > 0 then wake_one() end
return { fresh, away }
