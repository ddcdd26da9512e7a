//! Mails that are sent once more because somebody asked for it.

use gristmill_clients::Settings;
use gristmill_mail::{ResendOutcome, State, eml, read};
use gristmill_platform::testing::smtp::{Act, Moment, SmtpServer};
use gristmill_queue::Enqueued;
use uuid::Uuid;

use crate::harness::{Harness, file};

impl Harness {
    /// Asks for it, and hands the job on where it is granted.
    async fn resend(&self, id: Uuid, force: bool) -> ResendOutcome {
        let mut tx = self.stack.pool.begin().await.unwrap();
        let resent = gristmill_mail::resend(&mut tx, &self.env.queue, self.client_id, id, force).await.unwrap();
        tx.commit().await.unwrap();
        let ResendOutcome::Again(mail, jobs) = resent else { return resent };
        assert_eq!(jobs.ids().len(), 1);
        self.env.queue.push(jobs).await;
        ResendOutcome::Again(mail, Enqueued::default())
    }

    async fn mail(&self, id: Uuid) -> read::Mail {
        read::find(&self.stack.pool, self.client_id, id).await.unwrap().unwrap().0
    }

    /// The mails about bills, in their order.
    async fn bill_mails(&self) -> Vec<read::Mail> {
        let filter = read::Filter { limit: 100, ..read::Filter::default() };
        let mut mails = read::list(&self.stack.pool, self.client_id, &filter).await.unwrap();
        mails.sort_by(|a, b| a.reference.cmp(&b.reference));
        mails
    }
}

/// Each bill says how it is paid, so that a server gets its mail.
async fn billed(harness: &Harness, n: u64) {
    harness.set(Settings { issuer: gristmill_billing::issue::sample(), ..Settings::default() }).await;
    harness.run_file(&file(0..n)).await;
    assert_eq!(harness.bill(false).await.bills, n.cast_signed());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_kept_goes_out_when_there_is_a_server_and_not_twice_unless_somebody_insists() {
    let mut harness = Harness::new(2_000).await;
    billed(&harness, 3).await;
    let kept = harness.bill_mails().await;
    assert!(kept.len() == 3 && kept.iter().all(|mail| mail.kept && mail.went_nowhere()), "{kept:?}");
    let (first, other) = (&kept[0], &kept[1]);
    let server = SmtpServer::start().await;
    harness.post_to(&server);

    let ResendOutcome::Again(begun, _) = harness.resend(first.id, false).await else { panic!("not granted") };
    assert_eq!((begun.state, begun.attempts, begun.sent_at), (State::Sending, 0, None));
    assert!(matches!(harness.resend(first.id, true).await, ResendOutcome::Sending), "it is on its way");
    harness.drain().await;
    let sent = harness.mail(first.id).await;
    assert_eq!((sent.state, sent.attempts, sent.kept), (State::Sent, 1, false), "{sent:?}");
    assert_ne!(sent.message_id, first.message_id);
    let domain = |id: &str| id.split_once('@').unwrap().1.to_owned();
    assert_eq!(domain(&sent.message_id), domain(&first.message_id));
    let arrived = server.accepted();
    assert_eq!(arrived.iter().map(|mail| &mail.message_id).collect::<Vec<_>>(), [&sent.message_id]);
    assert_eq!(arrived[0].recipient, first.recipient);
    // What was kept of it is not what was sent.
    assert_eq!(eml(&*harness.stack.store, first.id).await.unwrap(), None);
    assert!(harness.mail(other.id).await == *other && eml(&*harness.stack.store, other.id).await.unwrap().is_some());

    assert!(matches!(harness.resend(first.id, false).await, ResendOutcome::Sent));
    assert!(matches!(harness.resend(first.id, true).await, ResendOutcome::Again(..)));
    harness.drain().await;
    assert_eq!((server.count(), server.times().len()), (2, 2), "each with an id of its own");
    assert!(matches!(harness.resend(Uuid::now_v7(), true).await, ResendOutcome::None));
    assert_eq!(harness.bill_mails().await.len(), 3, "the mail is the same row");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_failed_goes_out_and_what_has_nothing_to_say_any_more_says_so() {
    let server = SmtpServer::scripted(|moment| match moment {
        Moment::Rcpt(_) => Act::say("550 5.7.1 relaying denied"),
        _ => Act::Behave,
    })
    .await;
    let mut harness = Harness::new(2_000).await;
    harness.post_to(&server);
    billed(&harness, 2).await;
    let failed = harness.bill_mails().await;
    assert!(failed.len() == 2 && failed.iter().all(|mail| mail.state == State::Failed), "{failed:?}");
    server.follow(|_| Act::Behave);
    sqlx::query("update bills set state = 'cancelled' where number = 2").execute(&harness.stack.pool).await.unwrap();
    for mail in &failed {
        assert!(matches!(harness.resend(mail.id, false).await, ResendOutcome::Again(..)));
    }
    harness.drain().await;
    let (sent, unwanted) = (harness.mail(failed[0].id).await, harness.mail(failed[1].id).await);
    assert_eq!((sent.state, sent.attempts, sent.last_error), (State::Sent, 1, None));
    assert!(unwanted.last_error.is_some_and(|error| error.starts_with("no longer wanted")));
    assert_eq!((unwanted.state, server.count()), (State::Failed, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_suppressed_address_gets_it_when_it_is_lifted() {
    let server = SmtpServer::scripted(|moment| match moment {
        Moment::Rcpt(_) => Act::say("550 5.1.1 no such user"),
        _ => Act::Behave,
    })
    .await;
    let mut harness = Harness::new(2_000).await;
    harness.post_to(&server);
    billed(&harness, 1).await;
    let mail = harness.bill_mails().await.remove(0);
    assert_eq!(mail.state, State::Suppressed);
    server.follow(|_| Act::Behave);
    assert!(matches!(harness.resend(mail.id, false).await, ResendOutcome::Suppressed));
    assert!(matches!(harness.resend(mail.id, true).await, ResendOutcome::Again(..)));
    harness.drain().await;
    assert_eq!((harness.mail(mail.id).await.state, server.count()), (State::Suppressed, 0), "the list counts");
    let client = harness.client_id;
    assert!(gristmill_mail::suppressions::lift(&harness.stack.pool, client, &mail.recipient).await.unwrap());
    assert!(matches!(harness.resend(mail.id, false).await, ResendOutcome::Again(..)));
    harness.drain().await;
    assert_eq!((harness.mail(mail.id).await.state, server.count()), (State::Sent, 1));
}
