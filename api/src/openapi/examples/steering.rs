//! Answers about jobs, groups, queues, workers and schedules.

use serde_json::{Value, json};

const JOB: &str = "019a4b1e-9d02-7b41-8e6f-2c7d90a1b3e4";
const GROUP: &str = "019a4b1e-8c5d-7e30-9a41-5f6d2c7b8e91";
const WORKER: &str = "5f1c9d1e-6a0b-4c57-9d0e-0c1f7a3b2e44";
const UPLOAD: &str = "019a4b1e-8c5d-7e30-9a41-5f6d2c7b8e90";
const ERROR: &str = "the ledger failed: connection refused";

pub(super) fn all() -> Vec<(&'static str, Value)> {
    vec![
        (
            "JobList",
            json!({ "items": [job()], "next_cursor": "j19a4b1e9d027b418e6f2c7d90a1b3e4", "total": { "jobs": 10_000, "exact": false } }),
        ),
        ("OneJob", one_job()),
        (
            "ActionRequest",
            json!({ "action": "redrive", "filter": { "states": ["dead"], "error": "connection refused" }, "per_second": 20 }),
        ),
        (
            "ActionAnswer",
            json!({ "action": "redrive", "dry_run": false, "changed": 412, "requested": 0, "next_cursor": null }),
        ),
        ("JobChange", json!({ "payload": { "upload_id": UPLOAD, "no": 18 }, "priority": 1, "timeout": "5m" })),
        ("JobRetry", json!({ "payload": { "upload_id": UPLOAD, "no": 18 } })),
        ("GroupList", json!({ "items": [group()], "next_cursor": null })),
        ("OneGroup", one_group()),
        ("QueueList", json!({ "items": [queue()] })),
        ("WorkerList", json!({ "items": [worker()] })),
        ("ScheduleBody", json!({ "cron": "*/10 * * * *", "job": redrive() })),
        ("ScheduleList", json!({ "items": [schedule()] })),
        ("TickList", json!({ "items": [tick()], "next_cursor": null })),
    ]
}

fn job() -> Value {
    json!({
        "id": JOB,
        "name": "uploads.load_chunk",
        "queue": "chunks",
        "priority": 4,
        "state": "dead",
        "attempt": 8,
        "max_attempts": 8,
        "run_at": "2026-01-31T09:21:10.004127Z",
        "group_id": GROUP,
        "client_id": 3,
        "client": "acme",
        "error": ERROR,
        "redriven": 0,
        "created_at": "2026-01-31T09:12:44.402119Z",
        "finished_at": "2026-01-31T09:21:10.118402Z",
    })
}

fn one_job() -> Value {
    let more = json!({
        "payload": { "upload_id": UPLOAD, "no": 17 },
        "result": null,
        "worker": "worker-7d1f0c",
        "last_error": ERROR,
        "trace_parent": "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "unique_key": null,
        "fair_key": "3",
        "parked_by": null,
        "timeout_ms": null,
        "expires_at": null,
        "backoff": null,
        "retain_seconds": null,
        "tick": null,
        "waits_for": null,
        "cursor": null,
        "steps": [],
        "attempts": [{
            "attempt": 8,
            "delivery": 1,
            "outcome": "retried",
            "error": ERROR,
            "worker": "worker-7d1f0c",
            "started_at": "2026-01-31T09:21:10.011345Z",
            "ended_at": "2026-01-31T09:21:10.118402Z",
        }],
        "group": group(),
    });
    joined(job(), more)
}

fn group() -> Value {
    json!({
        "id": GROUP,
        "name": "upload",
        "state": "failing",
        "policy": "fail_fast",
        "client_id": 3,
        "client": "acme",
        "total": 26,
        "completed": 17,
        "failed": 1,
        "cancelled": 6,
        "sealed": true,
        "completions": 0,
        "created_at": "2026-01-31T09:12:44.381502Z",
    })
}

fn one_group() -> Value {
    let spec = |name: &str| {
        let payload = json!({ "upload_id": UPLOAD });
        json!({ "name": name, "queue": "uploads", "priority": 2, "max_attempts": 8, "payload": payload, "version": 1, "client_id": 3 })
    };
    let more = json!({
        "on_complete": spec("uploads.close"),
        "on_failure": spec("uploads.fail"),
        "parent": null,
        "children": [],
        "stages": [],
        "failed_members": [job()],
        "more_failed_members": false,
    });
    joined(group(), more)
}

fn queue() -> Value {
    json!({
        "name": "chunks",
        "available": 1_204,
        "available_exact": true,
        "scheduled": 3,
        "scheduled_exact": true,
        "running": 8,
        "oldest_seconds": 12.4,
        "paused": false,
        "draining": false,
        "limits": { "concurrency": 8, "rate_per_second": null, "burst": null, "key_concurrency": 2 },
        "acked_per_second": 96.5,
        "seconds_left": 12.6,
        "slots": 16,
    })
}

fn worker() -> Value {
    json!({
        "id": WORKER,
        "label": "worker",
        "version": env!("CARGO_PKG_VERSION"),
        "pid": 4_711,
        "host": "mill-3",
        "language": null,
        "heard": 1_769_851_964,
        "draining": false,
        "unwell": null,
        "memory_bytes": 84_213_760,
        "cpu": 0.93,
        "lines": [{
            "queue": "chunks",
            "concurrency": 1,
            "lease_age_ms": 412,
            "held": 1,
            "running": [{ "id": JOB, "name": "uploads.load_chunk", "delivery": 1, "since_ms": 1_769_851_964_402_u64 }],
        }],
    })
}

fn redrive() -> Value {
    json!({
        "name": "gristmill.redrive",
        "queue": "gristmill",
        "payload": { "filter": { "name": "uploads.close" }, "per_second": 5, "max_rounds": 3 },
    })
}

fn schedule() -> Value {
    let job = joined(redrive(), json!({ "priority": 4, "max_attempts": 8, "version": 1 }));
    json!({
        "name": "again",
        "cron": "*/10 * * * *",
        "time_zone": "UTC",
        "catch_up": "latest",
        "overlap": "allow",
        "jitter_seconds": 0,
        "ended": false,
        "paused": false,
        "job": job,
        "next": ["2026-01-31T09:30:00Z", "2026-01-31T09:40:00Z"],
        "last": tick(),
        "missed": 0,
        "created_at": "2026-01-30T18:04:11.902213Z",
        "updated_at": "2026-01-30T18:04:11.902213Z",
    })
}

fn tick() -> Value {
    json!({
        "fire_at": "2026-01-31T09:20:00Z",
        "cause": "due",
        "job_id": "019a4b25-2f00-7c1a-9b3d-6e5f4a3b2c1d",
        "job_state": "completed",
        "created_at": "2026-01-31T09:20:00.003918Z",
    })
}

fn joined(mut one: Value, more: Value) -> Value {
    if let (Value::Object(one), Value::Object(more)) = (&mut one, more) {
        one.extend(more);
    }
    one
}
