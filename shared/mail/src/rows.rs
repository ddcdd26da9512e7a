//! The send-once rows: taken before a mail is sent, settled when its fate is known.

use std::{collections::HashMap, time::Duration};

use gristmill_core::ClientId;
use ring::digest;
use sqlx::{Arguments as _, FromRow, PgPool, postgres::PgArguments};
use uuid::Uuid;

use crate::Email;

/// A silent sender's mails are sent by another one after this; it tells of itself three times as often.
pub(crate) const CLAIM: Duration = Duration::from_secs(30);

/// A mail that is this run's to send.
#[derive(FromRow)]
pub(crate) struct ClaimedMail {
    pub(crate) id: Uuid,
    kind: String,
    #[sqlx(rename = "ref")]
    reference: String,
    pub(crate) message_id: String,
    /// The store has it, as it was written before.
    pub(crate) kept: bool,
    /// Its address takes no mail: why.
    pub(crate) suppressed: Option<String>,
}

/// What a run has got of the mails it asked for.
pub(crate) struct Begun {
    taken: HashMap<(String, String), ClaimedMail>,
    /// Those that are done.
    pub(crate) done: usize,
    /// Those that another run is sending.
    pub(crate) held: usize,
}

impl Begun {
    /// The row of a letter, if it is this run's to send. Asked again, there is none: of two equal letters one is sent.
    pub(crate) fn take(&mut self, letter: &Email) -> Option<ClaimedMail> {
        self.taken.remove(&key(letter))
    }

    pub(crate) fn ids(&self) -> Vec<Uuid> {
        self.taken.values().map(|taken| taken.id).collect()
    }
}

fn key(letter: &Email) -> (String, String) {
    (letter.kind().to_string(), letter.reference.clone())
}

/// The same for the same mail, whoever sends it and however often.
fn message_id(client_id: ClientId, (kind, reference): &(String, String), domain: &str) -> String {
    let hash = digest::digest(&digest::SHA256, format!("{client_id}\0{kind}\0{reference}").as_bytes());
    let name: String = hash.as_ref()[..16].iter().map(|byte| format!("{byte:02x}")).collect();
    format!("<{name}@{domain}>")
}

/// A letter, as far as its row shows it.
pub(crate) struct NewMail {
    key: (String, String),
    address: String,
    subject: String,
}

/// What is wanted of the database, each once and in one order, so that two runs never wait for each other.
pub(crate) fn wanted(letters: &[Email]) -> Vec<NewMail> {
    let wanted = |letter: &Email| NewMail {
        key: key(letter),
        address: letter.address.trim().to_owned(),
        subject: letter.subject(),
    };
    let mut wanted: Vec<NewMail> = letters.iter().map(wanted).collect();
    wanted.sort_by(|a, b| a.key.cmp(&b.key));
    wanted.dedup_by(|a, b| a.key == b.key);
    wanted
}

/// The mails that are entered, as a table of the statement that binds [`columns`] first.
macro_rules! new_mails {
    () => {
        "unnest($1::uuid[], $2::text[], $3::text[], $4::text[], $5::text[], $6::text[])
              as wanted (id, kind, ref, recipient, subject, message_id)"
    };
}

/// What `new_mails!` is made of: its columns, in its order. Further parameters are bound behind them.
fn columns(client_id: ClientId, wanted: &[NewMail], domain: &str) -> Result<PgArguments, sqlx::Error> {
    let column = |of: &dyn Fn(&NewMail) -> String| -> Vec<String> { wanted.iter().map(of).collect() };
    let mut columns = PgArguments::default();
    columns.add(wanted.iter().map(|_| Uuid::now_v7()).collect::<Vec<_>>()).map_err(sqlx::Error::Encode)?;
    for texts in [
        column(&|wanted| wanted.key.0.clone()),
        column(&|wanted| wanted.key.1.clone()),
        column(&|wanted| wanted.address.clone()),
        column(&|wanted| wanted.subject.clone()),
        column(&|wanted| message_id(client_id, &wanted.key, domain)),
    ] {
        columns.add(texts).map_err(sqlx::Error::Encode)?;
    }
    Ok(columns)
}

/// Enters mails and takes what is still to be sent of them, by one statement that is committed at once.
pub(crate) async fn begin(
    pool: &PgPool,
    client_id: ClientId,
    run: Uuid,
    wanted: &[NewMail],
    domain: &str,
) -> Result<Begun, sqlx::Error> {
    let sql = concat!(
        "insert into mails (id, client_id, kind, ref, recipient, subject, message_id, claimed_by, claimed_until)
         select id, $7, kind, ref, recipient, subject, message_id, $8, now() + $9
         from ",
        new_mails!(),
        " on conflict (client_id, kind, ref) do update
         set state = 'sending', gave_up = false, recipient = excluded.recipient, subject = excluded.subject,
             claimed_by = excluded.claimed_by, claimed_until = excluded.claimed_until
         where (mails.state = 'sending' or mails.gave_up) and (mails.claimed_until is null or mails.claimed_until < now())
         returning id, kind, ref, message_id, kept,
             (select reason from mail_suppressions s where s.client_id = $7 and s.address = lower(mails.recipient)) as suppressed"
    );
    let taken = sqlx::query_as_with(sql, columns(client_id, wanted, domain)?).bind(client_id).bind(run).bind(CLAIM);
    let taken: Vec<ClaimedMail> = taken.fetch_all(pool).await?;
    let others = wanted.len() - taken.len();
    let taken: HashMap<_, _> = taken.into_iter().map(|row| ((row.kind.clone(), row.reference.clone()), row)).collect();
    let missing = || wanted.iter().map(|wanted| &wanted.key).filter(|key| !taken.contains_key(*key));
    let held: i64 = if others == 0 {
        0
    } else {
        // The client comes as data: of one that the planner's statistics do not know yet it expects one mail, and would
        // compare all of them with all that are asked for.
        sqlx::query_scalar(
            "with missing as materialized (
                 select $1::int as client_id, kind, ref from unnest($2::text[], $3::text[]) as t (kind, ref))
             select count(*) from missing w join mails m on m.client_id = w.client_id and m.kind = w.kind and m.ref = w.ref
             where m.state = 'sending' or m.gave_up",
        )
        .bind(client_id)
        .bind(missing().map(|(kind, _)| kind.clone()).collect::<Vec<_>>())
        .bind(missing().map(|(_, reference)| reference.clone()).collect::<Vec<_>>())
        .fetch_one(pool)
        .await?
    };
    let held = usize::try_from(held).unwrap_or(others).min(others);
    Ok(Begun { taken, done: others - held, held })
}

/// Enters mails of which nothing is known as failed, for this reason; they may be taken all the same. Answers how many.
pub(crate) async fn enter_failed(
    pool: &PgPool,
    client_id: ClientId,
    wanted: &[NewMail],
    domain: &str,
    reason: &str,
) -> Result<u64, sqlx::Error> {
    let sql = concat!(
        "insert into mails (id, client_id, kind, ref, recipient, subject, message_id, state, gave_up, last_error)
         select id, $7, kind, ref, recipient, subject, message_id, 'failed', true, $8
         from ",
        new_mails!(),
        " on conflict (client_id, kind, ref) do nothing"
    );
    let entered = sqlx::query_with(sql, columns(client_id, wanted, domain)?).bind(client_id).bind(reason);
    Ok(entered.execute(pool).await?.rows_affected())
}

/// Says that a run is alive and still sends these.
pub(crate) async fn renew(pool: &PgPool, run: Uuid, ids: &[Uuid]) -> Result<(), sqlx::Error> {
    sqlx::query(
        "update mails set claimed_until = now() + $3 where id = any($1) and claimed_by = $2 and state = 'sending'",
    )
    .bind(ids)
    .bind(run)
    .bind(CLAIM)
    .execute(pool)
    .await
    .map(|_| ())
}
