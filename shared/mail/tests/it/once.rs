use gristmill_platform::testing::smtp::{Act, Moment, SmtpServer};

use crate::support::{Post, arrived, letter, letters};

#[tokio::test(flavor = "multi_thread")]
async fn each_letter_is_sent_once_however_often_it_is_delivered() {
    let server = SmtpServer::start().await;
    let post = Post::to(&server).await;
    let mailer = post.mailer();
    let report = mailer.deliver(&post.turn(), letters(40)).await.unwrap();
    assert_eq!((report.sent, report.done, report.left), (40, 0, 0));
    let again = mailer.deliver(&post.turn(), letters(41)).await.unwrap();
    assert_eq!((again.sent, again.done), (1, 40));
    let twice = mailer.deliver(&post.turn(), vec![letter(77), letter(77)]).await.unwrap();
    assert_eq!(twice.sent, 1);
    assert_eq!(arrived(&server, 42), 1);
    assert_eq!(post.count("sent").await, 42);
    assert!(server.connections() <= 16, "connections are used again: {}", server.connections());
}

#[tokio::test(flavor = "multi_thread")]
async fn two_runs_at_a_time_send_each_letter_once() {
    // Slow enough that both runs are in the middle of it.
    let slow = |moment: &Moment| match moment {
        Moment::Data => Act::Wait(std::time::Duration::from_millis(20)),
        _ => Act::Behave,
    };
    let server = SmtpServer::scripted(slow).await;
    let post = Post::to(&server).await;
    let (one, other) = (post.mailer(), post.mailer());
    let run = |mailer| post.insist(mailer, || letters(60));
    let (a, b) = tokio::join!(run(&one), run(&other));
    assert_eq!(a.sent + b.sent, 60);
    assert_eq!(arrived(&server, 60), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cancelled_turn_begins_no_mail() {
    let server = SmtpServer::start().await;
    let post = Post::to(&server).await;
    let turn = post.turn();
    turn.cancel.cancel();
    let report = post.mailer().deliver(&turn, letters(5)).await.unwrap();
    assert_eq!((report.sent, report.left, server.count()), (0, 5, 0));
    assert_eq!(post.mailer().deliver(&post.turn(), letters(5)).await.unwrap().sent, 5, "the rows were let go at once");
}
