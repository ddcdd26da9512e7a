//! Watches whether a worker makes progress while jobs wait. If it makes none, its connections are replaced; if that does not
//! help, the worker reports that it is unhealthy, so that it can be restarted.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use sqlx::PgPool;
use tracing::{debug, error, info, warn};

use crate::{Queue, Schema, delivery::WorkerState};

/// Looks until dropped.
pub(crate) async fn watch(queue: Queue, worker_state: WorkerState) {
    let limit = queue.config().watchdog;
    let every = (limit / 6).clamp(Duration::from_millis(50), Duration::from_secs(5));
    let mut renewed: HashMap<String, Instant> = HashMap::new();
    loop {
        tokio::time::sleep(every).await;
        let silent = worker_state.stalled(limit);
        renewed.retain(|queue, _| silent.contains(queue));
        if renewed.is_empty() && worker_state.unhealthy_reason().is_some() {
            info!("the worker recovered");
            worker_state.set_unhealthy_reason(None);
        }
        if silent.is_empty() {
            continue;
        }
        // Only the ledger can say whether jobs wait: what the broker has is unknown now.
        let backlog = match backlog(queue.schema(), queue.pool(), &silent).await {
            Ok(backlog) => backlog,
            Err(error) => {
                debug!(%error, "reading the backlog from the ledger failed");
                continue;
            }
        };
        for name in backlog {
            match renewed.get(&name) {
                None => {
                    warn!(queue = name, "jobs wait and none was claimed for {limit:?}: replacing the connections");
                    metrics::counter!("gristmill_watchdog_reconnects_total", "queue" => name.clone()).increment(1);
                    worker_state.reconnect(&name);
                    renewed.insert(name, Instant::now());
                }
                Some(at) if at.elapsed() >= limit && worker_state.unhealthy_reason().is_none() => {
                    let reason = format!("jobs wait in queue `{name}` and none was claimed for {:?}", limit * 2);
                    error!(queue = name, "worker unhealthy: {reason}");
                    worker_state.set_unhealthy_reason(Some(reason));
                }
                Some(_) => {}
            }
        }
    }
}

/// Of these queues, those that have jobs to do and are not paused.
async fn backlog(schema: Schema, pool: &PgPool, queues: &[String]) -> Result<Vec<String>, sqlx::Error> {
    sqlx::query_scalar(schema.sql(
        "select n.name from unnest($1::text[]) as n (name)
         where exists (select from gristmill.jobs j where j.state = 'available' and j.queue = n.name and j.queue <> '')
           and not exists (select from gristmill.queues q where q.name = n.name and q.paused)",
    ))
    .bind(queues)
    .fetch_all(pool)
    .await
}
