//! How many mails a second go to a server on this machine, through Postgres, each with its page drawn and attached:
//!
//!     cargo run --release -p gristmill-mail --example mail_rate -- 10000
//!
//! `-- 10000 plain` attaches a fixed file of 24 KB instead, to see what the mailing alone costs.

#![expect(clippy::unwrap_used, reason = "a measurement ends where something fails")]

use std::time::Instant;

use gristmill_bills::{BillFacts as Facts, Language, Money, Party, Settings, pdf};
use gristmill_core::ClientId;
use gristmill_mail::{Attachment, BillFacts, Content, Email, Mailer, Rate, SendContext};
use gristmill_platform::{
    config::MailConfig,
    testing::{
        self,
        smtp::{Act, Setup, SmtpServer},
    },
};
use jiff::civil::date;
use tokio_util::sync::CancellationToken;

const BATCH_SIZE: usize = 200;

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let mails: usize = arguments.next().map_or(10_000, |number| number.parse().unwrap());
    let plain = arguments.next().is_some_and(|word| word == "plain");
    let stack = testing::stack().await;
    let server = SmtpServer::with(Setup { forget: true, ..Setup::default() }, |_| Act::Behave).await;
    let config = MailConfig { smtp_url: Some(server.url().into()), ..MailConfig::default() };
    let rate = Rate::connect(&stack.redis_url, &stack.namespace, 0.0).unwrap();
    let mailer = Mailer::new(&config, stack.pool.clone(), stack.store.clone(), rate).unwrap();
    let client: ClientId = sqlx::query_scalar("insert into clients (name) values ('acme') returning id")
        .fetch_one(&stack.pool)
        .await
        .unwrap();
    let started = Instant::now();
    let slices = mails.div_ceil(BATCH_SIZE);
    let runs = (0..4_usize).map(|worker| {
        let mailer = mailer.clone();
        tokio::spawn(async move {
            for slice in (worker..slices).step_by(4) {
                let letters =
                    (slice * BATCH_SIZE..mails.min((slice + 1) * BATCH_SIZE)).map(|n| letter(n, plain)).collect();
                let turn = SendContext { client_id: client, last: false, cancel: CancellationToken::new() };
                let report = mailer.deliver(&turn, letters).await.unwrap();
                assert_eq!((report.left, report.error), (0, None));
            }
        })
    });
    for run in runs.collect::<Vec<_>>() {
        run.await.unwrap();
    }
    let seconds = started.elapsed().as_secs_f64();
    let sent: i64 =
        sqlx::query_scalar("select count(*) from mails where state = 'sent'").fetch_one(&stack.pool).await.unwrap();
    assert_eq!((server.count(), sent), (mails, mails as i64));
    println!(
        "{mails} mails in {seconds:.1} s: {:.0} a second over {} connections",
        mails as f64 / seconds,
        server.connections()
    );
}

fn letter(n: usize, plain: bool) -> Email {
    let number = n as u64 + 1;
    let party = Party { name: "Acme Serviços Ltda".to_owned(), ..Party::default() };
    let amount = Money::brl(781_150);
    let due = date(2026, 12, 31);
    let facts = BillFacts {
        number: number.to_string(),
        issuer: party.name.clone(),
        payer: "Ana Lima".to_owned(),
        amount,
        paid: None,
        due,
        ways: Vec::new(),
    };
    let attach = move || {
        let bytes = if plain { vec![b'x'; 24 * 1_024] } else { page(party, number, amount)? };
        Ok(Attachment { filename: format!("bill-{number}.pdf"), media_type: "application/pdf", bytes })
    };
    Email {
        reference: number.to_string(),
        address: format!("payer{number}@example.com"),
        name: Some("Ana Lima".to_owned()),
        language: Language::Portuguese,
        reply_to: None,
        content: Content::Bill(facts),
        attachment: Some(Box::new(attach)),
    }
}

fn page(beneficiary: Party, number: u64, amount: Money) -> Result<Vec<u8>, gristmill_core::Source> {
    let settings: Settings = serde_json::from_value(serde_json::json!({
        "beneficiary": { "name": beneficiary.name, "document": "11222333000181", "address": ["Rua do Moinho, 1"] },
        "boleto": { "bank": "001", "agency": "0001", "account": "0000001", "wallet": "17" },
        "pix": { "key": "sample@example.com", "name": "Gristmill Sample", "city": "Sao Paulo" },
    }))?;
    let payer = Party { name: "Ana Lima".to_owned(), ..Party::default() };
    let day = date(2026, 12, 31);
    let facts = Facts {
        number,
        payer,
        amount,
        paid_minor: 0,
        cancelled: false,
        overdue: false,
        issued_on: day,
        due_on: day,
        reference: None,
        description: None,
    };
    Ok(pdf::render(&settings.bill(facts)?, &pdf::Branding::default(), Language::Portuguese)?)
}
