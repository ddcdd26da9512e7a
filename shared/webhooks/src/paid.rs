//! What follows when bills are paid in full, whoever finds out.

use gristmill_billing::{BillId, bills};
use gristmill_core::ClientId;
use gristmill_mail::{Kind, jobs::SendMail};
use gristmill_queue::{Enqueued, Options, Queue, QueueError};
use jiff::civil::Date;
use sqlx::PgConnection;

use crate::{Event, EventType, publish_all, wanted};

/// Has the payers of a client's bills sent a receipt, and its webhooks told by `bill.paid`, in the transaction that settles
/// the bills. `today` is the client's date. Push what it returns after the commit.
///
/// # Errors
/// When the ledger cannot be reached or refuses the statement.
pub async fn bills_paid(
    conn: &mut PgConnection,
    queue: &Queue,
    client_id: ClientId,
    numbers: &[i64],
    today: Date,
) -> Result<Enqueued, QueueError> {
    let settled: Vec<BillId> = numbers.iter().map(|&number| BillId { client_id, number }).collect();
    let receipts: Vec<SendMail> = settled
        .iter()
        .map(|bill| SendMail { client_id, kind: Kind::PaymentReceipt, reference: bill.to_string() })
        .collect();
    let options = Options { client_id: Some(client_id), ..Options::default() };
    let mut jobs = queue.enqueue_all(&mut *conn, &receipts, &options).await?;
    if settled.is_empty() || !wanted(&mut *conn, client_id, EventType::BillPaid).await? {
        return Ok(jobs);
    }
    let mut events = Vec::with_capacity(settled.len());
    for bill in settled {
        events.extend(bills::find(&mut *conn, bill, today).await?.map(|bill| Event::BillPaid((&bill).into())));
    }
    jobs.merge(publish_all(conn, queue, client_id, &events, &[]).await?);
    Ok(jobs)
}
