//! What belongs to jobs that died, or were cancelled by hand: the scheduler ends it, and what is run again does nothing twice.

use gristmill_billing::runs::{self, Cause, Run, State as RunState};
use gristmill_clients::Settings;
use gristmill_mail::{
    Kind,
    jobs::{SendBills, SendMail},
};
use gristmill_normalization::requests::{self, New, State as RequestState};
use gristmill_platform::config::{MailConfig, SchedulerConfig};
use gristmill_queue::{JobFilter, JobId, JobState, Options};
use gristmill_webhooks::{
    Event, EventType, Merchant, NormalizationCompleted,
    deliveries::{self, Delivery, ReplayOutcome, State},
    jobs::AnnounceBills,
    publish,
};
use jiff::civil::date;
use tokio_util::{sync::CancellationToken, task::AbortOnDropHandle};
use uuid::Uuid;

use crate::{
    harness::{Harness, file, mailer, until},
    webhooks::{OK, Sink},
};

/// How a job ends.
#[derive(Clone, Copy, Debug)]
enum End {
    /// By hand, as the dashboard and the command line do it.
    Cancelled,
    /// By hand, after it died.
    GivenUp,
    /// After all its attempts.
    Died,
}

const ENDS: [End; 3] = [End::Cancelled, End::GivenUp, End::Died];

impl Harness {
    /// A scheduler, as long as it is held.
    fn schedule(&self) -> AbortOnDropHandle<()> {
        let env = gristmill_scheduler::Env {
            pool: self.stack.pool.clone(),
            queue: self.env.queue.clone(),
            store: self.stack.store.clone(),
            events: self.env.events.clone(),
        };
        AbortOnDropHandle::new(tokio::spawn(async move {
            gristmill_scheduler::serve(env, &SchedulerConfig::default(), CancellationToken::new()).await.unwrap();
        }))
    }

    /// The only job of this name, ended.
    async fn end_job(&self, name: &str, how: End) -> JobId {
        let id: JobId =
            sqlx::query_scalar("select id from gristmill.jobs where name = $1 and state in ('available', 'scheduled')")
                .bind(name)
                .fetch_one(&self.stack.pool)
                .await
                .unwrap();
        let filter = JobFilter::ids([id]);
        if let End::Cancelled = how {
            assert_eq!(self.env.queue.jobs().cancel(&filter).await.unwrap().changed, 1);
            return id;
        }
        let mut tx = self.stack.pool.begin().await.unwrap();
        sqlx::query("update gristmill.jobs set state = 'dead', finished_at = now(), last_error = 'a disk is full' where id = $1")
            .bind(id)
            .execute(&mut *tx)
            .await
            .unwrap();
        if let End::GivenUp = how {
            assert_eq!(self.env.queue.discard(&mut tx, &[id]).await.unwrap(), 1);
        }
        tx.commit().await.unwrap();
        id
    }

    async fn run_again(&self, id: JobId) {
        let states = vec![JobState::Dead, JobState::Cancelled];
        let filter = JobFilter { states, ..JobFilter::ids([id]) };
        assert_eq!(self.env.queue.jobs().redrive(&filter, None).await.unwrap().changed, 1);
        self.drain().await;
    }

    async fn run_now(&self, id: Uuid) -> Run {
        runs::find(&self.stack.pool, self.client_id, id).await.unwrap().unwrap()
    }
}

fn is_told(reason: &str, how: End) -> bool {
    reason.contains(match how {
        End::Cancelled => "its job was cancelled",
        End::GivenUp => "its job was given up: a disk is full",
        End::Died => "its job died: a disk is full",
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_delivery_ends_and_is_replayed_once() {
    let harness = Harness::new(1_000).await;
    let sink = Sink::new(|_| OK).await;
    let (hook, _) = harness.hook(&sink.url, &[EventType::NormalizationCompleted]).await;
    let _scheduler = harness.schedule();
    let newest =
        async || -> Delivery { deliveries::list(&harness.stack.pool, hook.id, None, None, 1).await.unwrap().remove(0) };
    for (n, how) in ENDS.into_iter().enumerate() {
        let merchant = Merchant { name: "A".into(), rule: None, score: None, category: None, wikidata_id: None };
        let event = Event::NormalizationCompleted(NormalizationCompleted { request_id: Uuid::now_v7(), merchant });
        // Entered and not pushed: nobody runs it meanwhile.
        let mut conn = harness.stack.pool.acquire().await.unwrap();
        assert!(!publish(&mut conn, &harness.env.queue, harness.client_id, &event).await.unwrap().is_empty());
        let job = harness.end_job("webhooks.deliver", how).await;
        until("the delivery to end", async || newest().await.state != State::Pending).await;
        let ended = newest().await;
        assert_eq!(ended.state, if let End::Died = how { State::Failed } else { State::Cancelled });
        assert!(is_told(ended.attempts[0].error.as_deref().unwrap(), how), "{ended:?}");
        harness.run_again(job).await;
        assert_eq!((sink.ids().len(), newest().await.state), (n, ended.state), "it has ended: a replay sends it");
        let again =
            deliveries::replay(&mut conn, &harness.env.queue, harness.client_id, hook.id, ended.id).await.unwrap();
        let ReplayOutcome::Again(jobs) = again else { panic!("{again:?}") };
        assert_eq!(jobs.ids().len(), 1, "once");
        harness.env.queue.push(jobs).await;
        harness.drain().await;
        assert_eq!((sink.ids().len(), newest().await.state), (n + 1, State::Delivered));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_request_fails_and_is_told_once() {
    let harness = Harness::new(1_000).await;
    let sink = Sink::new(|_| OK).await;
    harness.hook(&sink.url, &[EventType::NormalizationCompleted]).await;
    let _scheduler = harness.schedule();
    for (n, how) in ENDS.into_iter().enumerate() {
        let mut conn = harness.stack.pool.acquire().await.unwrap();
        let new = New { date: date(2021, 4, 1), description: "NETFLIX".into(), amount_minor: 1_299, currency: None };
        let made =
            requests::create(&mut conn, &harness.env.queue, harness.client_id, &[new], Vec::new()).await.unwrap();
        let id = made.0[0];
        let job = harness.end_job("normalizations.normalize", how).await;
        let find = async || requests::find(&harness.stack.pool, id).await.unwrap().unwrap();
        until("the request to fail", async || find().await.state == RequestState::Failed).await;
        let failed = find().await;
        assert!(is_told(failed.detail.as_deref().unwrap(), how) && failed.completed_at.is_some(), "{failed:?}");
        harness.run_again(job).await;
        assert_eq!(find().await.state, RequestState::Failed, "it was told to have failed");
        let calls = sink.calls();
        assert_eq!(sink.ids().len(), n + 1);
        let tells = |body: &str| body.contains(&id.to_string()) && body.contains("n/a");
        assert!(calls.iter().any(|call| tells(&call.body)), "{calls:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mail_fails_and_is_sent_once_when_its_job_is_run_again() {
    let mut harness = Harness::new(1_000).await;
    harness.set(Settings { operator_email: Some("ops@example.com".into()), ..Settings::default() }).await;
    let upload = harness.run_file(file(0..3)).await;
    let kept = harness.env.mailer.clone();
    // Nobody listens there.
    let nowhere = MailConfig { smtp_url: Some("smtp://127.0.0.1:1".to_owned().into()), ..MailConfig::default() };
    harness.env.mailer = mailer(&harness.stack, &nowhere);
    let stop = CancellationToken::new();
    let worker = harness.start(1, &stop);
    let reference = upload.id.to_string();
    harness.enqueue(&SendMail { client_id: harness.client_id, kind: Kind::UploadFailed, reference }).await;
    let mail = async || -> Option<(String, Option<String>)> {
        let of = "select state, last_error from mails where kind = 'upload_failed' and claimed_by is null";
        sqlx::query_as(of).fetch_optional(&harness.stack.pool).await.unwrap()
    };
    until("an attempt", async || mail().await.is_some_and(|(_, error)| error.is_some())).await;
    stop.cancel();
    worker.await.unwrap().unwrap();
    let job = harness.end_job("mail.send", End::Cancelled).await;
    let scheduler = harness.schedule();
    until("the mail to fail", async || mail().await.is_some_and(|(state, _)| state == "failed")).await;
    assert!(is_told(&mail().await.unwrap().1.unwrap(), End::Cancelled));
    drop(scheduler);
    harness.env.mailer = kept;
    harness.run_again(job).await;
    let sent = "select count(*) from mails where kind = 'upload_failed' and state = 'sent'";
    assert_eq!(harness.count(sent).await, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn mails_that_were_never_begun_are_failed_ones() {
    for how in ENDS {
        let harness = Harness::new(2_000).await;
        harness.set(Settings { operator_email: Some("ops@example.com".into()), ..Settings::default() }).await;
        let upload = harness.run_file(&file(0..4)).await;
        harness.bill(false).await;
        // As if the run's mails had not been sent yet; one bill was withdrawn, so it has none, and one mail has gone out.
        sqlx::raw_sql(
            "delete from mails where ref <> (select min(ref) from mails where kind = 'bill_new') or kind <> 'bill_new';
             delete from gristmill.jobs where queue = 'mail';
             update bills set state = 'cancelled' where number = 3",
        )
        .execute(&harness.stack.pool)
        .await
        .unwrap();
        let failed = async || -> Vec<(String, String, i32)> {
            sqlx::query_as("select kind, last_error, attempts from mails where state = 'failed' order by kind")
                .fetch_all(&harness.stack.pool)
                .await
                .unwrap()
        };
        // Entered and not pushed: nobody runs them meanwhile.
        let mut conn = harness.stack.pool.acquire().await.unwrap();
        let (client_id, from_number, to_number, step, payable_on) = (harness.client_id, 1, 4, None, None);
        let bills = SendBills { client_id, kind: Kind::BillNew, from_number, to_number, step, payable_on };
        let one = SendMail { client_id, kind: Kind::UploadCompleted, reference: upload.id.to_string() };
        assert!(!harness.env.queue.enqueue(&mut conn, &bills, &Options::default()).await.unwrap().is_empty());
        assert!(!harness.env.queue.enqueue(&mut conn, &one, &Options::default()).await.unwrap().is_empty());
        let ended = [harness.end_job("mail.bills", how).await, harness.end_job("mail.send", how).await];
        let (stop, scheduler) = (CancellationToken::new(), harness.schedule());
        let worker = harness.start(2, &stop);
        until("the mails to fail", async || failed().await.len() == 3).await;
        stop.cancel();
        worker.await.unwrap().unwrap();
        drop(scheduler);
        let kinds = ["bill_new", "bill_new", "upload_completed"];
        for ((kind, error, attempts), expected) in failed().await.into_iter().zip(kinds) {
            assert_eq!((kind.as_str(), attempts), (expected, 0));
            assert!(is_told(&error, how), "{error}");
        }
        // Run again all the same, each is sent once.
        for id in ended {
            harness.run_again(id).await;
        }
        assert_eq!(harness.count("select count(*) from mails where state = 'sent'").await, 4);
        assert_eq!(harness.count("select count(*) from mails").await, 4);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_says_what_it_has_not_told() {
    let harness = Harness::new(2_000).await;
    harness.run_file(&file(0..3)).await;
    let run = harness.bill(false).await;
    let sink = Sink::new(|_| OK).await;
    harness.hook(&sink.url, &[EventType::BillCreated]).await;
    let (client_id, from_number, to_number) = (harness.client_id, 1, 3);
    let _scheduler = harness.schedule();
    let told = async |what: &'static str| {
        harness.run_now(run.id).await.detail.is_some_and(|detail| detail.contains(what) && detail.contains("1 to 3"))
    };
    // Entered and not pushed: nobody runs them meanwhile.
    let mut conn = harness.stack.pool.acquire().await.unwrap();
    let announce = AnnounceBills { client_id, from_number, to_number };
    assert!(!harness.env.queue.enqueue(&mut conn, &announce, &Options::default()).await.unwrap().is_empty());
    let job = harness.end_job("webhooks.announce_bills", End::Cancelled).await;
    until("the run to say so", async || told("announced").await).await;
    harness.run_again(job).await;
    assert_eq!(sink.ids().len(), 3);
    let (kind, step, payable_on) = (Kind::BillNew, None, None);
    let mails = SendBills { client_id, kind, from_number, to_number, step, payable_on };
    assert!(!harness.env.queue.enqueue(&mut conn, &mails, &Options::default()).await.unwrap().is_empty());
    let job = harness.end_job("mail.bills", End::Died).await;
    until("the run to say so", async || told("mailed").await).await;
    harness.run_again(job).await;
    let sent = "select count(*) from mails where kind = 'bill_new' and state = 'sent'";
    assert_eq!(harness.count(sent).await, 3, "each once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_be_planned_fails_and_the_next_one_bills() {
    for (dry_run, how) in [(false, End::Cancelled), (false, End::Died), (true, End::Died)] {
        let harness = Harness::new(2_000).await;
        harness.run_file(&file(0..30)).await;
        let mut conn = harness.stack.pool.acquire().await.unwrap();
        let made = runs::create(&mut conn, &harness.env.queue, harness.client_id, Cause::Request, dry_run, 0).await;
        let run = made.unwrap().0.id;
        let job = harness.end_job("billing.plan", how).await;
        let stop = CancellationToken::new();
        let (scheduler, worker) = (harness.schedule(), harness.start(2, &stop));
        until("the run to fail", async || harness.run_now(run).await.state == RunState::Failed).await;
        stop.cancel();
        worker.await.unwrap().unwrap();
        drop(scheduler);
        let detail = harness.run_now(run).await.detail.unwrap();
        assert!(detail.contains("billing.plan") && is_told(&detail, how), "{detail}");
        harness.run_again(job).await;
        assert_eq!(harness.run_now(run).await.state, RunState::Failed);
        assert_eq!(harness.count("select count(*) from bills").await, 0);
        assert_eq!(harness.bill(false).await.bills, 30, "it waits for none before it");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_run_that_cannot_be_closed_fails_with_its_bills_and_nothing_is_billed_twice() {
    for how in [End::Cancelled, End::Died] {
        let harness = Harness::new(2_000).await;
        harness.run_file(&file(0..30)).await;
        sqlx::raw_sql(
            "create function refuse() returns trigger language plpgsql as $$ begin raise 'not closed'; end $$;
             create trigger refuse before update on billing_runs for each row
             when (new.state = 'completed') execute function refuse()",
        )
        .execute(&harness.stack.pool)
        .await
        .unwrap();
        let stop = CancellationToken::new();
        let worker = harness.start(2, &stop);
        let run = harness.begin(Cause::Request, false).await;
        let tried = "select count(*) from gristmill.jobs where name = 'billing.close' and last_error is not null";
        until("an attempt to close it", async || harness.count(tried).await == 1).await;
        stop.cancel();
        worker.await.unwrap().unwrap();
        let job = harness.end_job("billing.close", how).await;
        sqlx::raw_sql("drop trigger refuse on billing_runs").execute(&harness.stack.pool).await.unwrap();
        let stop = CancellationToken::new();
        let (scheduler, worker) = (harness.schedule(), harness.start(2, &stop));
        until("the run to fail", async || harness.run_now(run).await.state == RunState::Failed).await;
        stop.cancel();
        worker.await.unwrap().unwrap();
        drop(scheduler);
        harness.drain().await;
        let failed = harness.run_now(run).await;
        assert_eq!((failed.bills, failed.mails), (30, Some(30)), "{failed:?}");
        assert!(failed.detail.as_ref().is_some_and(|detail| detail.contains("billing.close")), "{failed:?}");
        harness.run_again(job).await;
        assert_eq!(harness.run_now(run).await.state, RunState::Failed);
        let again = harness.bill(false).await;
        assert_eq!((again.state, again.bills), (RunState::Completed, 0));
        assert_eq!(harness.count("select count(*) from bills").await, 30);
        assert_eq!(harness.count("select count(*) from mails where kind = 'bill_new'").await, 30);
    }
}
