//! The mails of a billing run.

use gristmill_billing::issue;
use gristmill_clients::settings;
use gristmill_core::ClientId;
use gristmill_mail::{Kind, jobs::SendBills};
use gristmill_queue::{Enqueued, JobError, Options};
use sqlx::PgConnection;
use uuid::Uuid;

use crate::Env;

/// Bills a job: some seconds of work.
pub(super) const BATCH_SIZE: i64 = 200;
/// Without a mail server nobody gets them, so that the first bills of a run are enough to look at.
pub(super) const KEPT: i64 = 1_000;

/// Has the bills of a run mailed to their payers, in the transaction that closes it.
pub(crate) async fn of_run(
    env: &Env,
    conn: &mut PgConnection,
    client_id: ClientId,
    run_id: Uuid,
) -> Result<Enqueued, JobError> {
    let ranges: Vec<(i64, i64)> =
        sqlx::query_as("select from_number, to_number from billing_numbers where run_id = $1 order by from_number")
            .bind(run_id)
            .fetch_all(&mut *conn)
            .await?;
    let settings = settings::find(&mut *conn, client_id).await?;
    let limit = match (env.mailer.sends(), issue::is_sample(&settings)) {
        (false, _) => KEPT,
        (true, false) => i64::MAX,
        (true, true) => 0,
    };
    let jobs: Vec<SendBills> = slices(&ranges, limit)
        .into_iter()
        .map(|(from_number, to_number)| SendBills {
            client_id,
            kind: Kind::BillNew,
            from_number,
            to_number,
            step: None,
            payable_on: None,
        })
        .collect();
    sqlx::query("update billing_runs set mails = least(bills - coalesce(unpayable, 0), $2) where id = $1")
        .bind(run_id)
        .bind(limit)
        .execute(&mut *conn)
        .await?;
    let options = Options { client_id: Some(client_id), ..Options::default() };
    Ok(env.queue.enqueue_all(conn, &jobs, &options).await?)
}

/// The ranges in pieces, up to so many numbers.
fn slices(ranges: &[(i64, i64)], limit: i64) -> Vec<(i64, i64)> {
    let mut slices = Vec::new();
    let mut left = limit;
    for &(from, to) in ranges {
        let mut next = from;
        while next <= to && left > 0 {
            let end = to.min(next + BATCH_SIZE.min(left) - 1);
            slices.push((next, end));
            left -= end - next + 1;
            next = end + 1;
        }
    }
    slices
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_cut_without_a_gap() {
        assert_eq!(slices(&[(1, 450), (1_000, 1_000)], i64::MAX), [(1, 200), (201, 400), (401, 450), (1_000, 1_000)]);
        assert_eq!(slices(&[(1, 450)], 250), [(1, 200), (201, 250)]);
        assert_eq!(slices(&[], 10), []);
    }
}
