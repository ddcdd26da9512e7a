//! A server in every kind of trouble: each bill has its mail in the end, and none a second one after a `250`.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use gristmill_platform::testing::smtp::{Act, Moment, SmtpServer};

use crate::support::{Post, arrived, letters};

const LETTERS: usize = 30;

/// Sends until all is done, and answers how often the most frequent mail was accepted.
async fn survive(script: impl Fn(&Moment) -> Act + Send + Sync + 'static) -> (SmtpServer, usize) {
    let server = SmtpServer::scripted(script).await;
    let post = Post::to(&server).await;
    let report = post.insist(&post.mailer(), || letters(LETTERS)).await;
    assert_eq!(report.sent, LETTERS);
    assert_eq!(post.count("sent").await as usize, LETTERS);
    let most = arrived(&server, LETTERS);
    (server, most)
}

/// Every `n`th time.
fn every(n: usize) -> impl Fn() -> bool {
    let count = AtomicUsize::new(0);
    move || count.fetch_add(1, Ordering::Relaxed).is_multiple_of(n)
}

#[tokio::test(flavor = "multi_thread")]
async fn too_busy_at_the_greeting() {
    let (_, most) = survive(|moment| match moment {
        Moment::Connect(n) if n % 3 != 2 => Act::say("421 4.3.2 too busy"),
        _ => Act::Behave,
    })
    .await;
    assert_eq!(most, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn hangs_up_at_the_greeting_and_after_each_mail() {
    let (_, most) = survive(|moment| match moment {
        Moment::Connect(n) if n % 2 == 0 => Act::Drop,
        Moment::End(..) => Act::BehaveAndDrop,
        _ => Act::Behave,
    })
    .await;
    assert_eq!(most, 1, "a 250 counts, though the server died right after it");
}

#[tokio::test(flavor = "multi_thread")]
async fn greylists_each_recipient() {
    let seen = std::sync::Mutex::new(std::collections::HashSet::new());
    let (_, most) = survive(move |moment| match moment {
        Moment::Rcpt(address) if seen.lock().unwrap().insert(address.clone()) => Act::say("450 4.2.0 greylisted"),
        _ => Act::Behave,
    })
    .await;
    assert_eq!(most, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn defers_mails_at_their_end_and_goes_away_at_data() {
    let (data, end) = (every(7), every(5));
    let (_, most) = survive(move |moment| match moment {
        Moment::Data if data() => Act::say("421 4.3.2 shutting down"),
        Moment::End(..) if end() => Act::say("451 4.3.0 later"),
        _ => Act::Behave,
    })
    .await;
    assert_eq!(most, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn drops_after_the_data_without_an_answer() {
    let end = every(4);
    let (server, most) = survive(move |moment| match moment {
        Moment::End(..) if end() => Act::Drop,
        _ => Act::Behave,
    })
    .await;
    assert_eq!(most, 1, "no 250, so it is sent again; one 250, so no more");
    let times = server.times();
    let unanswered = server.unanswered();
    assert!(!unanswered.is_empty());
    assert!(unanswered.iter().all(|mail| times.contains_key(&mail.message_id)), "again under the same Message-ID");
}

#[tokio::test(flavor = "multi_thread")]
async fn slow_answers_are_waited_for() {
    let (_, most) = survive(|moment| match moment {
        Moment::Connect(_) | Moment::Rcpt(_) => Act::Wait(Duration::from_millis(100)),
        Moment::End(..) => Act::Wait(Duration::from_millis(150)),
        _ => Act::Behave,
    })
    .await;
    assert_eq!(most, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_never_comes_is_not_taken_for_the_next_mails() {
    let hang = every(10);
    let server = SmtpServer::scripted(move |moment| match moment {
        Moment::Rcpt(_) if hang() => Act::Wait(Duration::from_secs(60)),
        _ => Act::Behave,
    })
    .await;
    let mut post = Post::to(&server).await;
    post.config.smtp_timeout = Duration::from_secs(2);
    let report = post.insist(&post.mailer(), || letters(LETTERS)).await;
    assert_eq!((report.sent, arrived(&server, LETTERS)), (LETTERS, 1));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_costs_no_mail() {
    let server = SmtpServer::start().await;
    let mut post = Post::to(&server).await;
    post.config.smtp_url = Some("smtp://127.0.0.1:1?tls=none".into());
    let report = post.mailer().deliver(&post.turn(), letters(LETTERS)).await.unwrap();
    assert!(report.unreachable && report.left == LETTERS && report.sent == 0, "{report:?}");
    let last = gristmill_mail::SendContext { last: true, ..post.turn() };
    post.mailer().deliver(&last, letters(1)).await.unwrap();
    let (_, state, attempts) = post.states().await.remove(0);
    assert_eq!((state.as_str(), attempts > 0), ("failed", true), "out of attempts");
    post.mailer().deliver(&last, letters(LETTERS)).await.unwrap();
    assert_eq!(post.count("failed").await, LETTERS as i64, "those that were not begun too: nobody will try them again");
    let reasons = "select count(*) from mails where last_error is null";
    assert_eq!(sqlx::query_scalar::<_, i64>(reasons).fetch_one(&post.stack.pool).await.unwrap(), 0);
    post.config.smtp_url = Some(server.url().into());
    assert_eq!(post.insist(&post.mailer(), || letters(LETTERS)).await.sent, LETTERS, "its job may be redriven");
    assert_eq!(arrived(&server, LETTERS), 1);
}
