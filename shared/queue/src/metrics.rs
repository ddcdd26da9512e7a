//! Descriptions of the metrics. Counters exist from the start, at zero, so that the first event shows as a change.

use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram};

pub(crate) fn describe() {
    describe_gauge!("gristmill_queue_depth", "Jobs by queue and state: available, scheduled, dead or parked");
    describe_gauge!(
        "gristmill_queue_oldest_seconds",
        "Age in seconds of the oldest job by queue and state: since it was due, or dead, or parked"
    );
    describe_gauge!(
        "gristmill_queue_seconds_left",
        "Seconds until the due jobs are done, at the rate of the last minute"
    );
    describe_gauge!("gristmill_broker_memory_bytes", "Memory that Redis uses");
    describe_gauge!("gristmill_broker_memory_limit_bytes", "Memory that Redis may use (maxmemory); 0 without a limit");
    describe_counter!("gristmill_jobs_total", "Attempts to run jobs, by outcome");
    describe_histogram!("gristmill_job_wait_seconds", "Seconds from when a job was due to its start");
    describe_histogram!("gristmill_job_run_seconds", "Seconds that a job ran");
    describe_histogram!(
        "gristmill_relay_lag_seconds",
        "Seconds from when a scheduled job was due to its push to the broker"
    );
    describe_histogram!("gristmill_cron_lag_seconds", "Seconds from the time of a tick to the commit of its job");
    describe_counter!("gristmill_cron_ticks_total", "Ticks of schedules, by outcome");
    describe_counter!(
        "gristmill_watchdog_reconnects_total",
        "Times that the watchdog replaced the connections of a stalled worker"
    );
    let totals = [
        ("gristmill_lease_renewals_total", "Leases that this process renewed"),
        ("gristmill_leases_lost_total", "Leases that this process lost to another one"),
        ("gristmill_leases_expired_total", "Expired leases that this process reaped; their jobs are delivered again"),
        ("gristmill_redeliveries_total", "Deliveries to this process that were not the first of their job"),
        ("gristmill_jobs_left_total", "Jobs that this process cannot read and released to a worker that can"),
        ("gristmill_relay_healed_total", "Waiting jobs that were missing in the broker and were pushed again"),
        ("gristmill_relay_forgotten_total", "Jobs removed from the broker because the ledger no longer wants them"),
    ];
    for (name, help) in totals {
        describe_counter!(name, help);
        counter!(name).increment(0);
    }
}
