//! Payers are reminded: each step of each unpaid bill once, on its day.

use std::collections::BTreeMap;

use gristmill_billing::{
    BillId, bills, dunning, issue,
    jobs::DunningTick,
    payments::{self, Notice},
    runs::Cause,
};
use gristmill_clients::{Settings, settings};
use gristmill_mail::{
    Kind,
    jobs::{SendBills, SendMail},
};
use gristmill_platform::testing::{Clock, smtp::SmtpServer};
use jiff::{
    ToSpan as _,
    civil::{Date, date},
};
use uuid::Uuid;

use crate::harness::{HEADER, Harness};

const ZONE: &str = "America/Sao_Paulo";

fn settings() -> Settings {
    Settings { issuer: issue::sample(), time_zone: ZONE.into(), overdue_days: vec![1, 7], ..Settings::default() }
}

/// A debt a due date, to payers of their own.
fn debts(due: &[Date]) -> String {
    due.iter().zip(1..).fold(HEADER.to_owned(), |file, (due, n)| {
        file + &format!("Ana Lima,1234,payer{n}@example.com,100.50,{due},{}\n", Uuid::from_u128(n))
    })
}

struct Town {
    harness: Harness,
    clock: Clock,
    server: SmtpServer,
}

impl Town {
    /// Bills that were made on November 1st.
    async fn billed(due: &[Date]) -> Self {
        let (mut harness, server) = (Harness::new(10_000).await, SmtpServer::start().await);
        let clock = Clock::install(&harness.stack.pool).await;
        harness.post_to(&server);
        harness.set(settings()).await;
        let town = Self { harness, clock, server };
        town.at(date(2026, 11, 1), 12, 0).await;
        town.harness.run_file(debts(due)).await;
        town.harness.begin(Cause::Request, false).await;
        town.harness.drain().await;
        assert_eq!(town.server.count(), due.len());
        town
    }

    async fn at(&self, day: Date, hour: i8, minute: i8) {
        self.clock.set(day.at(hour, minute, 0, 0).in_tz(ZONE).unwrap().timestamp()).await;
    }

    /// Ticks of two schedulers, before nine and after.
    async fn day(&self, day: Date) {
        for (hour, minute) in [(8, 59), (9, 1)] {
            self.at(day, hour, minute).await;
            self.harness.enqueue(&DunningTick {}).await;
            self.harness.enqueue(&DunningTick {}).await;
            self.harness.drain().await;
        }
    }

    async fn days(&self, from: Date, to: Date) {
        for day in from.series(1.day()).take_while(|day| *day <= to) {
            self.day(day).await;
        }
    }

    /// The steps, by the payer's number, with the days on which they were sent.
    async fn steps(&self) -> BTreeMap<i32, Vec<(String, Date)>> {
        let sent: Vec<(i32, String, jiff_sqlx::Date)> = sqlx::query_as(
            "select substring(recipient from '[0-9]+')::int, kind || ' ' || split_part(ref, '/', 2),
                    (sent_at at time zone $1)::date
             from mails where kind <> 'bill_new' order by sent_at",
        )
        .bind(ZONE)
        .fetch_all(&self.harness.stack.pool)
        .await
        .unwrap();
        let mut steps = BTreeMap::<_, Vec<_>>::new();
        for (payer, step, day) in sent {
            steps.entry(payer).or_default().push((step, day.to_jiff()));
        }
        steps
    }

    /// The debt of a payer is paid.
    async fn pay(&self, payer: u128) {
        let notice = Notice {
            debt_id: Uuid::from_u128(payer),
            payment_id: None,
            amount_minor: 10_050,
            paid_at: self.clock.now().await,
            paid_by: "Ana".into(),
        };
        payments::record(&mut self.harness.stack.pool.acquire().await.unwrap(), self.harness.client_id, &notice)
            .await
            .unwrap();
    }

    async fn cancel(&self, payer: u128) {
        let pool = &self.harness.stack.pool;
        let number = sqlx::query_scalar("select number from bills where debt_id = $1").bind(Uuid::from_u128(payer));
        let number = number.fetch_one(pool).await.unwrap();
        assert!(bills::cancel(pool, BillId { client_id: self.harness.client_id, number }).await.unwrap());
    }

    /// What the server has taken, it has taken once.
    fn assert_once(&self) {
        assert!(self.server.times().values().all(|times| *times == 1), "{:?}", self.server.times());
    }
}

fn november(day: i8) -> Date {
    date(2026, 11, day)
}

#[tokio::test(flavor = "multi_thread")]
async fn each_step_of_an_unpaid_bill_is_mailed_once_on_its_day() {
    let (near, far, past) = (november(10), november(20), date(2020, 1, 1));
    let town = Town::billed(&[near, near, near, past, far]).await;
    town.days(november(1), november(4)).await;
    town.cancel(3).await;
    town.days(november(5), november(8)).await;
    town.pay(2).await;
    town.days(november(9), november(21)).await;
    let step = |name: &str, day| (name.to_owned(), november(day));
    let wanted = BTreeMap::from([
        (1, vec![step("bill_reminder 3", 7), step("bill_overdue 1", 11), step("bill_overdue 7", 17)]),
        (2, vec![step("bill_reminder 3", 7)]),
        (4, vec![step("bill_overdue 1", 2), step("bill_overdue 7", 8)]),
        (5, vec![step("bill_reminder 3", 17), step("bill_overdue 1", 21)]),
    ]);
    assert_eq!(town.steps().await, wanted);
    town.assert_once();
    let left = town.harness.count("select count(*) from bill_days where next_on is not null").await;
    assert_eq!(left, 1, "only the last one has a step to come");
    town.harness.begin(Cause::Request, false).await;
    town.harness.drain().await;
    assert_eq!(
        town.harness.count("select count(*) from bills").await,
        5,
        "a cancelled bill's debt is not billed again"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_scheduler_that_was_away_sends_the_last_step_only() {
    let town = Town::billed(&[november(10), november(25)]).await;
    town.day(november(24)).await;
    let wanted = BTreeMap::from([
        (1, vec![("bill_overdue 7".to_owned(), november(24))]),
        (2, vec![("bill_reminder 3".to_owned(), november(24))]),
    ]);
    assert_eq!(town.steps().await, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn steps_of_a_run_that_has_not_ended_wait_for_it() {
    let town = Town::billed(&[november(10)]).await;
    let set = async |state: &'static str| sqlx::raw_sql(state).execute(&town.harness.stack.pool).await.unwrap();
    set("update billing_runs set state = 'running', finished_at = null").await;
    town.days(november(7), november(8)).await;
    assert_eq!(town.steps().await, BTreeMap::new());
    set("update billing_runs set state = 'completed', finished_at = now()").await;
    town.day(november(9)).await;
    assert_eq!(town.steps().await, BTreeMap::from([(1, vec![("bill_reminder 3".to_owned(), november(9))])]));
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_looked_again_before_a_mail_goes_out_and_nothing_goes_twice() {
    let town = Town::billed(&[november(10), november(10), november(10)]).await;
    town.at(november(17), 10, 0).await;
    town.pay(1).await;
    town.cancel(2).await;
    // As after a tick whose jobs are run twice, and mails that had been put off.
    let slice = SendBills {
        client_id: town.harness.client_id,
        kind: Kind::BillOverdue,
        from_number: 1,
        to_number: 3,
        step: Some(7),
        payable_on: Some(november(10)),
    };
    let single = |number| SendMail {
        client_id: town.harness.client_id,
        kind: Kind::BillOverdue,
        reference: format!("{}/7", gristmill_billing::BillId { client_id: town.harness.client_id, number }),
    };
    for _ in 0..2 {
        town.harness.enqueue(&slice).await;
        for number in 1..=3 {
            town.harness.enqueue(&single(number)).await;
        }
    }
    let other_day = SendBills { step: Some(1), payable_on: Some(november(16)), ..slice };
    town.harness.enqueue(&other_day).await;
    for _ in 0..100 {
        town.harness.drain().await;
        town.clock.advance(std::time::Duration::from_secs(10)).await;
        if town.harness.count("select count(*) from gristmill.jobs where finished_at is null").await == 0 {
            break;
        }
    }
    assert_eq!(town.steps().await, BTreeMap::from([(3, vec![("bill_overdue 7".to_owned(), november(17))])]));
    town.assert_once();
}

#[tokio::test(flavor = "multi_thread")]
async fn new_settings_are_for_what_is_to_come() {
    let town = Town::billed(&[november(10)]).await;
    town.days(november(11), november(17)).await;
    town.at(november(20), 12, 0).await;
    let new = Settings { overdue_days: vec![1, 8, 12], ..settings() };
    let mut conn = town.harness.stack.pool.acquire().await.unwrap();
    settings::put(&mut *conn, town.harness.client_id, &new).await.unwrap();
    dunning::rearrange(&mut conn, town.harness.client_id, &new).await.unwrap();
    drop(conn);
    town.days(november(20), november(23)).await;
    let step = |name: &str, day| (name.to_owned(), november(day));
    let wanted = vec![step("bill_overdue 1", 11), step("bill_overdue 7", 17), step("bill_overdue 12", 22)];
    assert_eq!(town.steps().await, BTreeMap::from([(1, wanted)]), "the eighth day was over");
}

#[tokio::test(flavor = "multi_thread")]
async fn samples_dun_nobody() {
    let town = Town::billed(&[november(10)]).await;
    town.harness.set(Settings { issuer: serde_json::json!({}), ..settings() }).await;
    town.days(november(10), november(12)).await;
    assert_eq!(town.steps().await, BTreeMap::new());
}
