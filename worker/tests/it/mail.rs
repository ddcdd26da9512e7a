//! Mails as jobs: the operator hears of uploads, the payers of bills.

use std::time::Duration;

use gristmill_billing::{
    payments::{self, Notice},
    runs::{self, Cause},
};
use gristmill_clients::{Settings, settings};
use gristmill_mail::{
    Kind,
    jobs::{SendBills, SendMail},
};
use gristmill_platform::{
    config::MailConfig,
    testing::smtp::{Act, Moment, SmtpServer},
};
use gristmill_uploads::{Policy, UploadId};
use uuid::Uuid;

use crate::harness::{HEADER, Harness, accepted, file, mailer};

impl Harness {
    async fn mails(&self, kind: &str) -> Vec<(String, String, String)> {
        sqlx::query_as("select ref, recipient, state from mails where kind = $1 order by ref")
            .bind(kind)
            .fetch_all(&self.stack.pool)
            .await
            .unwrap()
    }

    /// Sends by this server from now on.
    pub(crate) fn post_to(&mut self, server: &SmtpServer) {
        let config = MailConfig { smtp_url: Some(server.url().into()), ..MailConfig::default() };
        self.env.mailer = mailer(&self.stack, &config);
    }

    async fn bill_all(&self) {
        let mut tx = self.stack.pool.begin().await.unwrap();
        let (_, jobs) = runs::create(&mut tx, &self.env.queue, self.client_id, Cause::Request, false, 0).await.unwrap();
        tx.commit().await.unwrap();
        self.env.queue.push(jobs).await;
        self.drain().await;
        let failed: Vec<(String, Option<String>)> =
            sqlx::query_as("select name, last_error from gristmill.jobs where last_error is not null")
                .fetch_all(&self.stack.pool)
                .await
                .unwrap();
        assert!(failed.iter().all(|(name, _)| name == "mail.send"), "{failed:?}");
    }

    async fn settings(&self, settings: Settings) {
        settings::put(&self.stack.pool, self.client_id, &settings).await.unwrap();
    }
}

/// Debts that are due today or soon, to payers of their own.
fn debts(n: u64) -> String {
    let due = jiff::Zoned::now().date().saturating_add(jiff::Span::new().days(2));
    (0..n).fold(HEADER.to_owned(), |file, n| {
        file + &format!("Ana Lima,1234,payer{n}@example.com,100.50,{due},{}\n", Uuid::from_u128(u128::from(n) + 1))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn an_operator_hears_how_uploads_end() {
    let harness = Harness::new(10_000).await;
    harness.run_file(file(0..5)).await;
    assert!(harness.mails("upload_completed").await.is_empty(), "nobody wants to know");
    harness.settings(Settings { operator_email: Some("ops@acme.example".into()), ..Settings::default() }).await;
    let good = harness.run_file(file(10..20)).await;
    let bad = accepted(harness.receive(harness.new_upload(Policy::Atomic), format!("{HEADER}x,y\n")).await);
    harness.drain().await;
    let told = |id: UploadId| vec![(id.to_string(), "ops@acme.example".to_owned(), "sent".to_owned())];
    assert_eq!(harness.mails("upload_completed").await, told(good.id));
    assert_eq!(harness.mails("upload_failed").await, told(bad.id));
}

#[tokio::test(flavor = "multi_thread")]
async fn each_bill_of_a_run_is_mailed_once() {
    // Some addresses are unknown, some mails put off once, and the server hangs up now and then.
    let server = SmtpServer::scripted(|moment| match moment {
        Moment::Rcpt(address) if address == "payer7@example.com" => Act::say("550 5.1.1 unknown"),
        Moment::End(_, 0) => Act::BehaveAndDrop,
        _ => Act::Behave,
    })
    .await;
    let mut harness = Harness::new(10_000).await;
    harness.post_to(&server);
    let issuer = gristmill_billing::issue::sample();
    harness.settings(Settings { issuer, ..Settings::default() }).await;
    harness.run_file(debts(450)).await;
    harness.bill_all().await;
    let mails = harness.mails("bill_new").await;
    assert_eq!(mails.len(), 450);
    assert_eq!(mails.iter().filter(|(_, _, state)| state == "sent").count(), 449);
    assert_eq!(server.times().values().filter(|times| **times == 1).count(), 449);
    let mail = &server.accepted()[0].raw;
    assert!(mail.contains("application/pdf") && mail.contains("Content-Language: pt-BR"));
    assert_eq!(harness.count("select count(*) from mail_suppressions").await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_few_that_are_put_off_become_jobs_of_their_own() {
    let seen = std::sync::Mutex::new(std::collections::HashSet::new());
    let server = SmtpServer::scripted(move |moment| match moment {
        Moment::Rcpt(address) if address.contains('3') && seen.lock().unwrap().insert(address.clone()) => {
            Act::say("450 4.2.0 greylisted")
        }
        _ => Act::Behave,
    })
    .await;
    let mut harness = Harness::new(10_000).await;
    harness.post_to(&server);
    harness.settings(Settings { issuer: gristmill_billing::issue::sample(), ..Settings::default() }).await;
    harness.run_file(debts(20)).await;
    harness.bill_all().await;
    assert_eq!(server.count(), 18);
    let due = "update gristmill.jobs set run_at = now() where name = 'mail.send' and state = 'scheduled'";
    assert_eq!(sqlx::query(due).execute(&harness.stack.pool).await.unwrap().rows_affected(), 2);
    harness.drain().await;
    assert_eq!((server.count(), server.times().len()), (20, 20));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_longer_wanted_is_not_left_as_being_sent() {
    let server = SmtpServer::scripted(|moment| match moment {
        Moment::Rcpt(_) => Act::say("450 4.2.0 greylisted"),
        _ => Act::Behave,
    })
    .await;
    let mut harness = Harness::new(10_000).await;
    harness.post_to(&server);
    harness.settings(Settings { issuer: gristmill_billing::issue::sample(), ..Settings::default() }).await;
    harness.run_file(debts(3)).await;
    harness.bill_all().await;
    let states = async || -> Vec<(String, String)> {
        sqlx::query_as("select state, coalesce(last_error, '') from mails where kind = 'bill_new' order by ref")
            .fetch_all(&harness.stack.pool)
            .await
            .unwrap()
    };
    assert!(states().await.iter().all(|(state, _)| state == "sending"), "{:?}", states().await);
    for number in [1, 2] {
        let id = gristmill_billing::BillId { client_id: harness.client_id, number };
        assert!(gristmill_billing::bills::cancel(&harness.stack.pool, id).await.unwrap());
    }
    // The second by itself, the first as one of a slice.
    let id = gristmill_billing::BillId { client_id: harness.client_id, number: 2 };
    let one = SendMail { client_id: harness.client_id, kind: Kind::BillNew, reference: id.to_string() };
    let slice = SendBills {
        client_id: harness.client_id,
        kind: Kind::BillNew,
        from_number: 1,
        to_number: 1,
        step: None,
        payable_on: None,
    };
    harness.enqueue(&one).await;
    harness.enqueue(&slice).await;
    harness.drain().await;
    let found = states().await;
    for (state, error) in &found[..2] {
        assert!(state == "failed" && error.starts_with("no longer wanted"), "{found:?}");
    }
    assert_eq!(found[2].0, "sending");
    let third = gristmill_billing::BillId { client_id: harness.client_id, number: 3 };
    let never = SendMail { reference: format!("{third}/never"), kind: Kind::BillOverdue, ..one };
    harness.enqueue(&never).await;
    harness.drain().await;
    assert_eq!(harness.count("select count(*) from mails").await, 3, "what was never begun leaves no trace");
}

#[tokio::test(flavor = "multi_thread")]
async fn sample_bills_reach_nobody() {
    let server = SmtpServer::start().await;
    let mut harness = Harness::new(10_000).await;
    harness.run_file(debts(3)).await;
    harness.bill_all().await;
    assert_eq!(harness.mails("bill_new").await.len(), 3, "without a server they are kept, to be looked at");
    harness.post_to(&server);
    sqlx::raw_sql("delete from mails").execute(&harness.stack.pool).await.unwrap();
    let job = SendBills {
        client_id: harness.client_id,
        kind: gristmill_mail::Kind::BillNew,
        from_number: 1,
        to_number: 3,
        step: None,
        payable_on: None,
    };
    let mut conn = harness.stack.pool.acquire().await.unwrap();
    let jobs = harness.env.queue.enqueue(&mut conn, &job, &gristmill_queue::Options::default()).await.unwrap();
    drop(conn);
    harness.env.queue.push(jobs).await;
    harness.drain().await;
    assert_eq!((server.count(), harness.mails("bill_new").await.len()), (0, 0));
    assert_eq!(harness.count("select count(*) from gristmill.jobs where last_error is not null").await, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_part_payments_receipt_says_what_remains() {
    let harness = Harness::new(10_000).await;
    harness.settings(Settings { language: "en".into(), ..Settings::default() }).await;
    harness.run_file(debts(1)).await;
    harness.bill_all().await;
    let pay = async |id: &str, amount| {
        let notice = Notice {
            debt_id: Uuid::from_u128(1),
            payment_id: Some(id.to_owned()),
            amount_minor: amount,
            paid_at: "2026-06-09T15:00:00Z".parse().unwrap(),
            paid_by: "Ana".into(),
        };
        let mut conn = harness.stack.pool.acquire().await.unwrap();
        payments::record(&mut conn, harness.client_id, &notice).await.unwrap().1
    };
    let part = pay("a/1", 4_050).await.unwrap();
    assert!(!part.settled && part.bill == 1);
    assert_eq!(pay("a/1", 4_050).await, None, "told again");
    let id = gristmill_billing::BillId { client_id: harness.client_id, number: 1 };
    let receipt = |reference| SendMail { client_id: harness.client_id, kind: Kind::PaymentReceipt, reference };
    harness.enqueue(&receipt(format!("{id}/{}", part.payment_id))).await;
    harness.drain().await;
    let texts = async || -> Vec<String> {
        sqlx::query_scalar("select text from mails where kind = 'payment_receipt' order by id")
            .fetch_all(&harness.stack.pool)
            .await
            .unwrap()
    };
    let said = texts().await;
    assert!(said.len() == 1 && said[0].contains("40.50") && said[0].contains("Still to be paid: "), "{said:?}");
    assert!(said[0].contains("60.00"), "{said:?}");
    harness
        .enqueue(&SendMail { client_id: harness.client_id, kind: Kind::BillReminder, reference: format!("{id}/3") })
        .await;
    harness.drain().await;
    let reminder: String = sqlx::query_scalar("select text from mails where kind = 'bill_reminder'")
        .fetch_one(&harness.stack.pool)
        .await
        .unwrap();
    assert!(reminder.contains("We have received R$40.50 of it. Still to be paid: R$60.00."), "{reminder}");
    assert!(reminder.contains("540560.00"), "its PIX code asks for the rest: {reminder}");
    assert!(pay("b", 6_000).await.unwrap().settled);
    harness.enqueue(&receipt(format!("{id}/b"))).await;
    harness.enqueue(&receipt(id.to_string())).await;
    harness.drain().await;
    let said = texts().await;
    assert!(said.len() == 2 && said[1].contains("The bill is settled."), "{said:?}");
    assert_eq!(pay("c", 1).await, None, "nothing was to be paid any more");
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_mails_are_dropped_when_they_are_old() {
    let harness = Harness::new(10_000).await;
    harness.run_file(debts(2)).await;
    harness.bill_all().await;
    let mailed: Option<i64> =
        sqlx::query_scalar("select mails from billing_runs").fetch_one(&harness.stack.pool).await.unwrap();
    assert_eq!(mailed, Some(2));
    // The second one was sent again a moment ago.
    sqlx::raw_sql("update mails set created_at = now() - interval '31 days'")
        .execute(&harness.stack.pool)
        .await
        .unwrap();
    let id: Uuid =
        sqlx::query_scalar("update mails set sent_at = now() - interval '31 days' where ref like '%1' returning id")
            .fetch_one(&harness.stack.pool)
            .await
            .unwrap();
    let prune = async || {
        gristmill_mail::prune(&harness.stack.pool, &*harness.stack.store, Duration::from_secs(30 * 86_400)).await
    };
    assert!(gristmill_mail::eml(&*harness.stack.store, id).await.unwrap().is_some());
    assert_eq!((prune().await.unwrap(), prune().await.unwrap()), (1, 0));
    assert!(gristmill_mail::eml(&*harness.stack.store, id).await.unwrap().is_none());
    assert_eq!(harness.count("select count(*) from mails where kept and text is not null").await, 1);
    assert_eq!(harness.mails("bill_new").await.len(), 2, "that they were sent stays known");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bill_that_is_paid_before_its_mail_is_not_asked_for() {
    let mut harness = Harness::new(10_000).await;
    let kept = harness.env.mailer.clone();
    harness.run_file(debts(3)).await;
    // The bills of a sample are not mailed by a server.
    harness.post_to(&SmtpServer::start().await);
    harness.bill_all().await;
    assert_eq!(harness.mails("bill_new").await, []);
    harness.env.mailer = kept;
    let of = "select number from bills where debt_id = '00000000-0000-0000-0000-000000000001'";
    let id = gristmill_billing::BillId { client_id: harness.client_id, number: harness.count(of).await };
    // Its mail was put off once.
    sqlx::query(
        "insert into mails (id, client_id, kind, ref, recipient, subject, message_id)
         values (gen_random_uuid(), $1, 'bill_new', $2, 'payer0@example.com', 'a bill', '<a@b>')",
    )
    .bind(harness.client_id)
    .bind(id.to_string())
    .execute(&harness.stack.pool)
    .await
    .unwrap();
    let notice = Notice {
        debt_id: Uuid::from_u128(1),
        payment_id: None,
        amount_minor: 10_050,
        paid_at: "2026-06-09T15:00:00Z".parse().unwrap(),
        paid_by: "Ana".into(),
    };
    let mut conn = harness.stack.pool.acquire().await.unwrap();
    assert!(payments::record(&mut conn, harness.client_id, &notice).await.unwrap().0.settled_bill.is_some());
    let (client_id, kind) = (harness.client_id, Kind::BillNew);
    harness.enqueue(&SendBills { client_id, kind, from_number: 1, to_number: 3, step: None, payable_on: None }).await;
    harness.enqueue(&SendMail { client_id, kind, reference: id.to_string() }).await;
    harness.drain().await;
    let mails = harness.mails("bill_new").await;
    let state = |reference: &str| mails.iter().find(|mail| mail.0 == reference).map(|mail| mail.2.as_str());
    assert_eq!((mails.len(), state(&id.to_string())), (3, Some("failed")), "{mails:?}");
    let sent = mails.iter().filter(|mail| mail.2 == "sent").count();
    assert_eq!(sent, 2);
    let why: String = sqlx::query_scalar("select last_error from mails where state = 'failed'")
        .fetch_one(&harness.stack.pool)
        .await
        .unwrap();
    assert!(why.contains("paid"), "{why}");
}

/// Debts of these amounts, due soon.
fn debts_of(amounts: &[&str], from: u128) -> String {
    let due = jiff::Zoned::now().date().saturating_add(jiff::Span::new().days(2));
    amounts.iter().zip(from..).fold(HEADER.to_owned(), |file, (amount, n)| {
        file + &format!("Ana Lima,1234,payer{n}@example.com,{amount},{due},{}\n", Uuid::from_u128(n))
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn what_nothing_can_carry_is_counted_and_not_mailed() {
    let server = SmtpServer::start().await;
    let mut harness = Harness::new(10_000).await;
    harness.post_to(&server);
    let boleto = serde_json::json!({ "bank": "001", "agency": "0001", "account": "0000001", "wallet": "17" });
    let pix = serde_json::json!({ "key": "a@acme.example", "name": "Acme", "city": "Rio" });
    let name = serde_json::json!({ "name": "Acme" });
    let amounts = ["10.00", "99999999.99", "100000000.00", "9999999999.99"];
    let mut from = 1;
    for (issuer, unpayable) in [
        (serde_json::json!({ "beneficiary": name, "boleto": boleto }), 2),
        (serde_json::json!({ "beneficiary": name, "pix": pix }), 0),
        (serde_json::json!({ "beneficiary": name, "boleto": boleto, "pix": pix }), 0),
        (serde_json::json!({ "beneficiary": name }), 4),
    ] {
        harness.settings(Settings { issuer, ..Settings::default() }).await;
        harness.run_file(debts_of(&amounts, from)).await;
        from += 4;
        let before = server.count();
        let dry = harness.bill(true).await;
        assert_eq!((dry.bills, dry.unpayable, dry.mails), (4, Some(unpayable), None), "told before: {dry:?}");
        let run = harness.bill(false).await;
        assert_eq!((run.bills, run.unpayable, run.mails), (4, Some(unpayable), Some(4 - unpayable)), "{run:?}");
        assert_eq!(server.count() - before, usize::try_from(4 - unpayable).unwrap());
    }
    assert_eq!(harness.count("select count(*) from mails where state <> 'sent'").await, 0, "none failed");
    assert_eq!(
        harness.count("select count(*) from gristmill.jobs where last_error is not null").await,
        0,
        "nothing was tried again"
    );
    // What is left after a part was paid is little enough for a boleto.
    let issuer = serde_json::json!({ "beneficiary": name, "boleto": boleto });
    harness.settings(Settings { issuer, ..Settings::default() }).await;
    harness.run_file(debts_of(&["100000000.00"], from)).await;
    let notice = Notice {
        debt_id: Uuid::from_u128(from),
        payment_id: None,
        amount_minor: 1,
        paid_at: jiff::Timestamp::now(),
        paid_by: "Ana".into(),
    };
    let mut conn = harness.stack.pool.acquire().await.unwrap();
    payments::record(&mut conn, harness.client_id, &notice).await.unwrap();
    drop(conn);
    let dry = harness.bill(true).await;
    assert_eq!((dry.bills, dry.unpayable), (1, Some(0)), "{dry:?}");
    let run = harness.bill(false).await;
    assert_eq!((run.bills, run.unpayable, run.mails), (1, Some(0), Some(1)), "{run:?}");
}
