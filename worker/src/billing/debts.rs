//! The debts of a shard: which of them are to be billed, and what else is there of the run's uploads.
//!
//! Read by `COPY … TO STDOUT (FORMAT BINARY)`: Postgres takes a quarter of the time that it takes to gather the same in
//! arrays, and a tenth of that for rows. See <https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4>.

use futures::TryStreamExt as _;
use gristmill_billing::jobs::{BillShard, ShardDebts};
use gristmill_pipelines::COPY_HEADER;
use gristmill_queue::JobError;
use gristmill_uploads::UploadId;
use jiff_sqlx::Date;
use rayon::slice::ParallelSliceMut as _;
use sqlx::PgConnection;
use uuid::Uuid;

use super::shard::{Run, days};
use crate::load::on_rayon;

/// What a bill needs of its debt.
pub(super) struct Debt {
    pub(super) id: Uuid,
    /// Its upload's place in [`ShardRows::uploads`].
    pub(super) upload: usize,
    /// Days since 2000-01-01, as Postgres counts them.
    pub(super) due: i32,
    pub(super) amount: i64,
    pub(super) paid: i64,
    /// Nothing can carry its bill.
    pub(super) unpayable: bool,
}

/// What the shard has of an upload of its run.
pub(super) struct Upload {
    pub(super) id: UploadId,
    /// Debts due up to here were billed before.
    after: Option<i32>,
    /// Rows, to be billed or not.
    pub(super) seen: i64,
    /// The earliest due date that no bill is made for yet.
    pub(super) next_due: Option<i32>,
}

/// What is in a shard.
pub(super) struct ShardRows {
    pub(super) uploads: Vec<Upload>,
    /// Those to be billed, in the order of their ids.
    pub(super) debts: Vec<Debt>,
}

/// Reads a shard.
pub(super) async fn find(conn: &mut PgConnection, job: &BillShard, run: &Run) -> Result<ShardRows, JobError> {
    let uploads: Vec<(UploadId, Option<Date>)> =
        sqlx::query_as("select upload_id, after from billing_run_uploads where run_id = $1 order by upload_id")
            .bind(job.run_id)
            .fetch_all(&mut *conn)
            .await?;
    let uploads: Vec<Upload> =
        uploads.into_iter().map(|(id, after)| Upload { id, after: after.map(days), seen: 0, next_due: None }).collect();
    let tuples = copied(conn, &rows(job, run)).await?;
    let cutoff = days(run.cutoff);
    on_rayon(move || {
        let mut found = ShardRows { uploads, debts: Vec::new() };
        found.sort_out(&tuples, cutoff)?;
        found.debts.par_sort_unstable_by_key(|debt| debt.id.as_u128());
        Ok(found)
    })
    .await?
}

/// The shard's rows. What was paid of a debt, and whether it is billed, is asked only when it can be.
fn rows(job: &BillShard, run: &Run) -> String {
    let (paid, payments) = match run.some_paid {
        true => ("p.paid_minor", "left join debt_payments p on p.debt_id = d.debt_id and p.client_id = d.client_id"),
        false => ("null::bigint", ""),
    };
    let billed = match run.interrupted {
        true => format!(
            "exists (select from bills_{} b where b.debt_id = d.debt_id and b.client_id = d.client_id)",
            job.segment
        ),
        false => "false".to_owned(),
    };
    let more = if run.some_paid || run.interrupted { format!(", {paid}, {billed}") } else { String::new() };
    let these = match &job.debts {
        ShardDebts::Lines(from, before) => format!("d.line >= {from} and d.line < {before}"),
        ShardDebts::Uploads(ids) => {
            let ids: Vec<String> = ids.iter().map(Uuid::to_string).collect();
            format!("d.upload_id = any('{{{}}}')", ids.join(","))
        }
    };
    format!(
        "copy (select d.debt_id, d.upload_id, d.due_date, d.amount_minor{more}
               from debts_{} d {payments} where {these})
         to stdout (format binary)",
        job.segment
    )
}

/// All that a `COPY` sends.
async fn copied(conn: &mut PgConnection, copy: &str) -> Result<Vec<u8>, sqlx::Error> {
    let mut sent = conn.copy_out_raw(copy).await?;
    let mut tuples = Vec::new();
    while let Some(bytes) = sent.try_next().await? {
        tuples.extend_from_slice(&bytes);
    }
    Ok(tuples)
}

impl ShardRows {
    fn sort_out(&mut self, tuples: &[u8], cutoff: i32) -> Result<(), JobError> {
        let torn = || JobError::discard("a COPY from the debts is not what it should be");
        let mut tuples = Tuples(tuples.strip_prefix(COPY_HEADER).ok_or_else(torn)?);
        let mut place = 0;
        while let Some(fields) = tuples.next_tuple().ok_or_else(torn)? {
            let id = tuples.field().flatten().map(Uuid::from_bytes);
            let upload_id = tuples.field().flatten().map(|bytes| UploadId::from(Uuid::from_bytes(bytes)));
            let due = tuples.field().flatten().map(i32::from_be_bytes);
            let amount = tuples.field().flatten().map(i64::from_be_bytes);
            let (Some(id), Some(upload_id), Some(due), Some(amount)) = (id, upload_id, due, amount) else {
                return Err(torn());
            };
            let (paid, billed) = match fields {
                4 => (None, false),
                _ => {
                    let paid = tuples.field().ok_or_else(torn)?;
                    let billed = tuples.field().flatten().ok_or_else(torn)?;
                    (paid.map(i64::from_be_bytes), billed == [1])
                }
            };
            // Neighbours are mostly of one upload.
            if self.uploads.get(place).is_none_or(|upload| upload.id != upload_id) {
                place = self.uploads.binary_search_by_key(&upload_id, |upload| upload.id).map_err(|_| torn())?;
            }
            let upload = &mut self.uploads[place];
            upload.seen += 1;
            if due > cutoff {
                upload.next_due = Some(upload.next_due.map_or(due, |next| next.min(due)));
            } else if upload.after.is_none_or(|after| due > after) && paid.is_none_or(|paid| paid < amount) && !billed {
                self.debts.push(Debt { id, upload: place, due, amount, paid: paid.unwrap_or(0), unpayable: false });
            }
        }
        Ok(())
    }
}

/// Tuples of a `COPY`, field by field.
struct Tuples<'a>(&'a [u8]);

impl Tuples<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.0.split_first_chunk()?;
        self.0 = rest;
        Some(*taken)
    }

    /// How many fields the next tuple has, `Some(None)` behind the last one; `None`: the bytes end before that.
    fn next_tuple(&mut self) -> Option<Option<i16>> {
        let fields = i16::from_be_bytes(self.take()?);
        Some((fields >= 0).then_some(fields))
    }

    /// A field of so many bytes, `Some(None)` where it is null; `None`: it is not of that size.
    fn field<const N: usize>(&mut self) -> Option<Option<[u8; N]>> {
        match i32::from_be_bytes(self.take()?) {
            -1 => Some(None),
            bytes if usize::try_from(bytes) == Ok(N) => self.take().map(Some),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(tuples: &[&[u8]]) -> Result<ShardRows, JobError> {
        let upload = Upload { id: Uuid::from_u128(7).into(), after: Some(10), seen: 0, next_due: None };
        let mut found = ShardRows { uploads: vec![upload], debts: Vec::new() };
        let sent: Vec<u8> = [COPY_HEADER].iter().chain(tuples).flat_map(|bytes| bytes.iter().copied()).collect();
        found.sort_out(&sent, 20).map(|()| found)
    }

    fn tuple(id: u128, due: i32, more: &[Option<&[u8]>]) -> Vec<u8> {
        let (id, upload, due, amount) =
            (id.to_be_bytes(), 7_u128.to_be_bytes(), due.to_be_bytes(), 500_i64.to_be_bytes());
        let fields = [Some(&id[..]), Some(&upload[..]), Some(&due[..]), Some(&amount[..])];
        let fields: Vec<Option<&[u8]>> = fields.into_iter().chain(more.iter().copied()).collect();
        let mut tuple = i16::try_from(fields.len()).unwrap().to_be_bytes().to_vec();
        for field in fields {
            crate::load::field(&mut tuple, field);
        }
        tuple
    }

    #[test]
    fn what_is_due_is_told_from_what_is_not() {
        let (paid, part) = (500_i64.to_be_bytes(), 499_i64.to_be_bytes());
        let tuples = [
            tuple(1, 10, &[]),
            tuple(2, 11, &[]),
            tuple(3, 20, &[None, Some(&[0])]),
            tuple(4, 23, &[]),
            tuple(5, 21, &[]),
            tuple(6, 12, &[Some(&paid), Some(&[0])]),
            tuple(7, 12, &[Some(&part), Some(&[0])]),
            tuple(8, 12, &[None, Some(&[1])]),
            vec![0xff, 0xff],
        ];
        let found = found(&tuples.iter().map(Vec::as_slice).collect::<Vec<_>>()).unwrap();
        let billed: Vec<(u128, i64)> = found.debts.iter().map(|debt| (debt.id.as_u128(), debt.paid)).collect();
        assert_eq!(billed, [(2, 0), (3, 0), (7, 499)]);
        assert_eq!((found.uploads[0].seen, found.uploads[0].next_due), (8, Some(21)));
    }

    #[test]
    fn torn_bytes_are_refused() {
        let whole = tuple(2, 11, &[]);
        for end in 0..whole.len() {
            assert!(found(&[&whole[..end]]).is_err(), "{end}");
        }
        assert!(found(&[&whole]).is_err(), "no trailer");
    }
}
