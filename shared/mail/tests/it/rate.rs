use std::time::{Duration, Instant};

use gristmill_platform::testing::smtp::SmtpServer;

use crate::support::{Post, arrived, letter, letters};

#[tokio::test(flavor = "multi_thread")]
async fn workers_share_a_domains_limit() {
    let server = SmtpServer::start().await;
    let mut post = Post::to(&server).await;
    post.config.mail_rate = 10.0;
    let (one, other) = (post.mailer(), post.mailer());
    let (a, b) = (letters(15), letters(30).split_off(15));
    let started = Instant::now();
    let (turn_a, turn_b) = (post.turn(), post.turn());
    let (a, b) = tokio::join!(one.deliver(&turn_a, a), other.deliver(&turn_b, b));
    let took = started.elapsed();
    assert_eq!(a.unwrap().sent + b.unwrap().sent, 30);
    // A second's worth at once, the other twenty at ten a second.
    assert!(took >= Duration::from_millis(1_900), "{took:?}");
    assert_eq!(arrived(&server, 30), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_wait_too_long_is_left_for_later() {
    let server = SmtpServer::start().await;
    let mut post = Post::to(&server).await;
    post.config.mail_rate = 0.05;
    let mut one = letters(3);
    one.truncate(1);
    assert_eq!(post.mailer().deliver(&post.turn(), one).await.unwrap().sent, 1);
    let turn = post.turn();
    let mut rest = letters(4);
    rest.remove(0);
    let mailer = post.mailer();
    let waiting = tokio::spawn(async move { mailer.deliver(&turn, rest).await });
    // Of three in a minute the first waits, the others are let go.
    let since = Instant::now();
    let left = "select count(*) from mails where state = 'sending' and claimed_by is null";
    while sqlx::query_scalar::<_, i64>(left).fetch_one(&post.stack.pool).await.unwrap() != 2 {
        assert!(since.elapsed() < Duration::from_secs(60), "they are not let go");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    waiting.abort();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_domain_has_one_limit_however_it_is_written() {
    let server = SmtpServer::start().await;
    let mut post = Post::to(&server).await;
    // One in a quarter of an hour.
    post.config.mail_rate = 0.001;
    let mailer = post.mailer();
    let mut n = 0;
    let mut sent = async |address: &str| {
        n += 1;
        let mut letter = letter(n);
        letter.address = address.to_owned();
        let report = mailer.deliver(&post.turn(), vec![letter]).await.unwrap();
        assert_eq!((report.later.is_none(), report.failed), (report.sent == 1, 0), "{address}: {report:?}");
        report.sent == 1
    };
    assert!(sent("ana@exämple.com").await);
    for address in ["rui@xn--exmple-cua.com", "rui@EXÄMPLE.com", "rui@XN--EXMPLE-CUA.com", "rui@exa\u{308}mple.com"] {
        assert!(!sent(address).await, "{address} is of the same domain");
    }
    assert!(sent("ana@example.com").await, "another domain");
}
