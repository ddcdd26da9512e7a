//! What runs have not told of their bills: they say so.

use std::collections::{BTreeMap, btree_map::Entry};

use gristmill_billing::runs;
use gristmill_core::ClientId;
use gristmill_mail::jobs::SendBills;
use gristmill_queue::JobId;
use gristmill_webhooks::jobs::AnnounceBills;
use sqlx::PgConnection;
use uuid::Uuid;

/// Bills of a run that were not told of, and the jobs that were to do it.
struct Gap {
    first: i64,
    last: i64,
    job: JobId,
    jobs: usize,
    reason: String,
}

/// Whose, what was not done, which bills.
#[derive(Default)]
pub(super) struct Unannounced(Vec<(ClientId, &'static str, Gap)>);

impl Unannounced {
    pub(super) fn announcement(&mut self, job: JobId, of: &AnnounceBills, reason: String) {
        let gap = Gap { first: of.from_number, last: of.to_number, job, jobs: 1, reason };
        self.0.push((of.client_id, "announced to webhooks", gap));
    }

    pub(super) fn mails(&mut self, job: JobId, of: &SendBills, reason: String) {
        let gap = Gap { first: of.from_number, last: of.to_number, job, jobs: 1, reason };
        self.0.push((of.client_id, "mailed", gap));
    }

    /// Writes a sentence for each run and what it has not done, however many jobs there are.
    pub(super) async fn note(self, conn: &mut PgConnection) -> Result<(), sqlx::Error> {
        let mut of_runs: BTreeMap<(Uuid, &str), Gap> = BTreeMap::new();
        for (client_id, what, gap) in self.0 {
            let Some(run) = runs::of_bill(conn, client_id, gap.first).await? else { continue };
            match of_runs.entry((run, what)) {
                Entry::Vacant(none) => {
                    none.insert(gap);
                }
                Entry::Occupied(mut known) => {
                    let known = known.get_mut();
                    known.first = known.first.min(gap.first);
                    known.last = known.last.max(gap.last);
                    known.jobs += gap.jobs;
                }
            }
        }
        for ((run, what), Gap { first, last, job, jobs, reason }) in of_runs {
            let more = if jobs > 1 { format!(" and {} more", jobs - 1) } else { String::new() };
            let note = format!(
                "bills of the numbers {first} to {last} were not all {what} (job {job}{more}): {reason}; run it again to have that done"
            );
            runs::note(conn, run, &note).await?;
        }
        Ok(())
    }
}
