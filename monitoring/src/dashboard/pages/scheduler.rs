//! That no scheduler runs, which is seen only by its absence.

use futures::future::BoxFuture;
use gristmill_board::{Attention, Error, Page};
use sqlx::PgPool;

pub(in crate::dashboard) struct Scheduler(pub(in crate::dashboard) PgPool);

/// A scheduler leaves a sign every five seconds.
const SILENT_SCHEDULER: i32 = 30;

impl Page for Scheduler {
    fn attention(&self) -> BoxFuture<'_, Result<Vec<Attention>, Error>> {
        Box::pin(async move {
            let heard: bool = sqlx::query_scalar(
                "select exists (select from role_signs
                                where role = 'scheduler' and seen_at > clock_timestamp() - make_interval(secs => $1))",
            )
            .bind(f64::from(SILENT_SCHEDULER))
            .fetch_one(&self.0)
            .await?;
            let what =
                format!("No scheduler was heard of for {SILENT_SCHEDULER} s: retries, schedules and healing wait");
            Ok(if heard { Vec::new() } else { vec![Attention::cause(what, "/schedules")] })
        })
    }
}
