//! Mails that were to be sent, and have nothing to say any more, or nobody who sends them.

use gristmill_core::ClientId;
use sqlx::PgConnection;

use crate::{Email, Kind, Mailer, rows};

const REASON: &str = "no longer wanted: a bill was paid or withdrawn meanwhile, or what else it is about has changed";

impl Mailer {
    /// Writes down that nobody will send these: they have failed, unless somebody is sending them or has sent them. Those
    /// that were never begun leave no trace.
    ///
    /// # Errors
    /// When Postgres cannot be reached or refuses the statement.
    pub async fn drop_unwanted(
        &self,
        client_id: ClientId,
        kind: Kind,
        references: &[String],
    ) -> Result<(), sqlx::Error> {
        if references.is_empty() {
            return Ok(());
        }
        // Should it be wanted once more, it may be taken again.
        sqlx::query(
            "with unwanted as materialized (select $1::int as client_id, $2::text as kind, unnest($3::text[]) as ref)
             update mails m set state = 'failed', gave_up = true, last_error = $4, claimed_by = null, claimed_until = null
             from unwanted w
             where m.client_id = w.client_id and m.kind = w.kind and m.ref = w.ref and m.state = 'sending'
               and (m.claimed_until is null or m.claimed_until < now())",
        )
        .bind(client_id)
        .bind(<&str>::from(kind))
        .bind(references)
        .bind(REASON)
        .execute(self.pool())
        .await?;
        Ok(())
    }

    /// Enters letters that were never begun as failed mails, for this reason: the job that was to send them is no more. When
    /// it is run again all the same, it sends them. Answers how many were entered.
    ///
    /// # Errors
    /// When Postgres cannot be reached or refuses the statement.
    pub async fn enter_unsent(
        &self,
        client_id: ClientId,
        letters: Vec<Email>,
        reason: &str,
    ) -> Result<u64, sqlx::Error> {
        if letters.is_empty() {
            return Ok(0);
        }
        let wanted = rows::wanted(&letters);
        drop(letters);
        rows::enter_failed(self.pool(), client_id, &wanted, self.domain(), reason).await
    }
}

/// What was found of mails whose job is no more.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Left {
    /// Some are being sent at this moment: to be asked again.
    Held,
    /// Each was entered, and none is waiting any more.
    None,
    /// Some were never entered.
    NotEntered,
}

/// Has mails fail that wait to be sent again, for this reason: the job that was to do that is no more. When it is run again
/// all the same, it sends them.
///
/// # Errors
/// When Postgres cannot be reached or refuses the statement.
pub async fn end(
    conn: &mut PgConnection,
    client_id: ClientId,
    kind: Kind,
    references: &[String],
    reason: &str,
) -> Result<Left, sqlx::Error> {
    let (held, entered): (bool, i64) = sqlx::query_as(
        "with ended as materialized (select $1::int as client_id, $2::text as kind, unnest($3::text[]) as ref),
              waiting as materialized (
            select m.id, m.claimed_until from ended e
            join mails m on m.client_id = e.client_id and m.kind = e.kind and m.ref = e.ref
            where m.state = 'sending' for update of m
         ), failed as (
            update mails m set state = 'failed', gave_up = true, last_error = $4, claimed_by = null, claimed_until = null
            from waiting w where m.id = w.id and (w.claimed_until is null or w.claimed_until < now())
         )
         select exists (select from waiting where claimed_until >= now()),
                (select count(*) from ended e
                 join mails m on m.client_id = e.client_id and m.kind = e.kind and m.ref = e.ref)",
    )
    .bind(client_id)
    .bind(<&str>::from(kind))
    .bind(references)
    .bind(reason)
    .fetch_one(conn)
    .await?;
    let all = usize::try_from(entered).is_ok_and(|entered| entered >= references.len());
    Ok(if held {
        Left::Held
    } else if all {
        Left::None
    } else {
        Left::NotEntered
    })
}
