use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use gristmill_bills::{Language, Money, rails::Payment};
use gristmill_core::ClientId;
use gristmill_mail::{Attachment, BillFacts, Content, Email, Mailer, Rate, Report, SendContext};
use gristmill_platform::{
    config::MailConfig,
    testing::{self, Stack, smtp::SmtpServer},
};
use jiff::civil::Date;
use tokio_util::sync::CancellationToken;

/// A database, a client and the settings of a test: short patience.
pub(crate) struct Post {
    pub(crate) stack: Stack,
    pub(crate) client_id: ClientId,
    pub(crate) config: MailConfig,
}

impl Post {
    /// One that sends to a server.
    pub(crate) async fn to(server: &SmtpServer) -> Self {
        let mut post = Self::nowhere().await;
        post.config.smtp_url = Some(server.url().into());
        post
    }

    /// One without a server.
    pub(crate) async fn nowhere() -> Self {
        let stack = testing::stack().await;
        let client_id = sqlx::query_scalar("insert into clients (name) values ('acme') returning id")
            .fetch_one(&stack.pool)
            .await
            .unwrap();
        let config = MailConfig {
            mail_from: "Acme Billing <bills@acme.example>".to_owned(),
            smtp_timeout: Duration::from_secs(5),
            ..MailConfig::default()
        };
        Self { stack, client_id, config }
    }

    pub(crate) fn mailer(&self) -> Mailer {
        let rate = Rate::connect(&self.stack.redis_url, &self.stack.namespace, self.config.mail_rate).unwrap();
        Mailer::new(&self.config, self.stack.pool.clone(), self.stack.store.clone(), rate).unwrap()
    }

    pub(crate) fn turn(&self) -> SendContext {
        SendContext { client_id: self.client_id, last: false, cancel: CancellationToken::new() }
    }

    /// What a job does, again and again: until nothing is left to do.
    pub(crate) async fn insist(&self, mailer: &Mailer, letters: impl Fn() -> Vec<Email>) -> Report {
        let (mut sum, begun) = (Report::default(), Instant::now());
        while begun.elapsed() < Duration::from_secs(120) {
            let report = mailer.deliver(&self.turn(), letters()).await.unwrap();
            sum.sent += report.sent;
            sum.suppressed += report.suppressed;
            sum.failed += report.failed;
            if report.left + report.held + report.deferred.len() == 0 {
                return sum;
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        panic!("never done: {sum:?}")
    }

    pub(crate) async fn states(&self) -> Vec<(String, String, i32)> {
        sqlx::query_as("select ref, state, attempts from mails order by ref").fetch_all(&self.stack.pool).await.unwrap()
    }

    pub(crate) async fn count(&self, state: &str) -> i64 {
        sqlx::query_scalar("select count(*) from mails where state = $1")
            .bind(state)
            .fetch_one(&self.stack.pool)
            .await
            .unwrap()
    }
}

pub(crate) fn facts(n: usize) -> BillFacts {
    BillFacts {
        number: format!("{n:06}"),
        issuer: "Acme Serviços Ltda".to_owned(),
        payer: "Ana Lima".to_owned(),
        amount: Money::brl(781_150),
        paid: None,
        due: Date::constant(2026, 12, 31),
        ways: vec![Payment::Pix {
            code: "00020126580014br.gov.bcb.pix0136123e4567-e12b-12d1-a456-426655440000".to_owned(),
        }],
    }
}

/// A bill of which a part was paid before its mail is written.
pub(crate) fn partly_paid(n: usize) -> BillFacts {
    BillFacts { paid: Some(Money::brl(500_000)), ..facts(n) }
}

/// A bill's mail, with something attached.
pub(crate) fn letter(n: usize) -> Email {
    Email {
        reference: format!("bill-{n:04}"),
        address: format!("payer{n}@example.com"),
        name: Some("Ana Lima".to_owned()),
        language: Language::Portuguese,
        reply_to: None,
        content: Content::Bill(facts(n)),
        attachment: Some(Box::new(move || {
            let bytes = format!("%PDF-1.7 {n}").repeat(100).into_bytes();
            Ok(Attachment { filename: format!("fatura-{n}.pdf"), media_type: "application/pdf", bytes })
        })),
    }
}

pub(crate) fn letters(n: usize) -> Vec<Email> {
    (0..n).map(letter).collect()
}

/// Every one of `n` letters is there; answers the most that one was.
pub(crate) fn arrived(server: &SmtpServer, n: usize) -> usize {
    let recipients: BTreeSet<String> = server.accepted().into_iter().map(|mail| mail.recipient).collect();
    assert_eq!(recipients.len(), n, "every letter has arrived");
    server.times().values().copied().max().unwrap_or_default()
}
