-- wrk -t1 -c64 -d10s -s bench/normalizations.lua http://127.0.0.1:8080/v1/normalizations
-- The key is read from GRISTMILL_KEY.
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer " .. os.getenv("GRISTMILL_KEY")
wrk.body = '{"date":"2021-04-01","description":"Payment Netflix APRIL***","amount":12.99}'

function done(summary, latency)
  local errors = summary.errors
  io.write(string.format("%.0f accepted/s, p50 %.1f, p99 %.1f, max %.1f ms; %d other answers, %d broken\n",
    summary.requests / summary.duration * 1e6, latency:percentile(50) / 1e3, latency:percentile(99) / 1e3, latency.max / 1e3,
    errors.status, errors.connect + errors.read + errors.write + errors.timeout))
end
