-- wrk -t1 -c20 -d10s -s bench/small_files.lua http://127.0.0.1:8080/v1/uploads?kind=debts
-- Files of 1,000 rows, none like another; the seconds to the `202`. The key is read from GRISTMILL_KEY. When each was completed:
-- select percentile_cont(array[0.5, 0.99]) within group (order by completed_at - created_at) from uploads
wrk.method = "POST"
wrk.headers["Content-Type"] = "text/csv"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("GRISTMILL_KEY")

local seed, file = os.time(), 0

function request()
  local lines = { "name,governmentId,email,debtAmount,debtDueDate,debtId" }
  file = file + 1
  for row = 1, 1000 do
    lines[row + 1] = string.format("Rafael Thompson,8160,kevin31@example.com,1580,2024-06-06,%08x-%04x-4000-8000-%012x",
      seed, file % 65536, file * 1000 + row)
  end
  return wrk.format(nil, nil, nil, table.concat(lines, "\n") .. "\n")
end

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("%.0f accepted/s, p50 %.1f, p99 %.1f, max %.1f ms; %d other answers, %d broken\n",
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
