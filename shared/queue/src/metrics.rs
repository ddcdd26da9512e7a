//! What the metrics mean, for those who scrape them. Counters are there, and zero, from the start: the first event is
//! then seen as a change.

use ::metrics::{counter, describe_counter, describe_gauge, describe_histogram};

pub(crate) fn describe() {
    describe_gauge!("gristmill_queue_depth", "Jobs by queue and state: available, scheduled, dead or parked");
    describe_gauge!("gristmill_queue_oldest_seconds", "How long the oldest of them is due, or dead, or parked");
    describe_gauge!("gristmill_queue_seconds_left", "How long what is due takes at the pace of the last minute");
    describe_gauge!("gristmill_broker_memory_bytes", "What Redis uses");
    describe_gauge!("gristmill_broker_memory_limit_bytes", "What Redis may use, its maxmemory; 0 without a limit");
    describe_counter!("gristmill_jobs_total", "Attempts at jobs, by how they ended");
    describe_histogram!("gristmill_job_wait_seconds", "From when a job was due to its start");
    describe_histogram!("gristmill_job_run_seconds", "How long a job's body ran");
    describe_histogram!("gristmill_relay_lag_seconds", "How late a scheduled job was handed to the broker");
    describe_histogram!("gristmill_cron_lag_seconds", "From a tick's time to the commit of its job");
    describe_counter!("gristmill_cron_ticks_total", "Ticks of schedules, by what became of them");
    describe_counter!(
        "gristmill_watchdog_reconnects_total",
        "Workers that got nowhere and made their connections anew"
    );
    let totals = [
        ("gristmill_lease_renewals_total", "Leases that this process prolonged"),
        ("gristmill_leases_lost_total", "Leases of this process that another one took over"),
        ("gristmill_leases_expired_total", "Leases that this process found silent, and whose jobs it put back in line"),
        ("gristmill_redeliveries_total", "Jobs that this process took and that had been handed out before"),
        ("gristmill_jobs_left_total", "Jobs that this process does not know and left to a worker that does"),
        ("gristmill_relay_healed_total", "Waiting jobs that the broker did not know"),
        ("gristmill_relay_forgotten_total", "Jobs that the broker held and nobody was to do any more"),
    ];
    for (name, help) in totals {
        describe_counter!(name, help);
        counter!(name).increment(0);
    }
}
