use gristmill_mail::suppressions::{self, Bounce};
use gristmill_platform::testing::smtp::{Act, Moment, SmtpServer};

use crate::support::{Post, letter, letters};

fn bounce(recipient: &str, hard: bool, message_id: Option<String>) -> Bounce {
    Bounce { recipient: recipient.to_owned(), hard, message_id, reason: None }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_unknown_mailbox_is_suppressed_and_a_refused_mail_fails() {
    let server = SmtpServer::scripted(|moment| match moment {
        Moment::Rcpt(address) if address == "payer1@example.com" => Act::say("550 5.1.1 no such user"),
        Moment::Rcpt(address) if address == "payer2@example.com" => Act::say("550 5.7.1 relaying denied"),
        _ => Act::Behave,
    })
    .await;
    let post = Post::to(&server).await;
    let mailer = post.mailer();
    let report = mailer.deliver(&post.turn(), letters(4)).await.unwrap();
    assert_eq!((report.sent, report.suppressed, report.failed), (2, 1, 1));
    assert_eq!(mailer.deliver(&post.turn(), letters(4)).await.unwrap().done, 4, "they are final");
    let found = suppressions::list(&post.stack.pool, post.client_id, "", 10).await.unwrap();
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].address.as_str(), found[0].reason.as_str()), ("payer1@example.com", "550 5.1.1 no such user"));

    // A further mail to that address is not even tried, in whatever capitals it is written.
    let mut another = letter(9);
    another.address = "Payer1@Example.com".to_owned();
    let report = mailer.deliver(&post.turn(), vec![another]).await.unwrap();
    assert_eq!((report.suppressed, server.count()), (1, 2));
    assert!(suppressions::lift(&post.stack.pool, post.client_id, "PAYER1@example.com").await.unwrap());
    assert!(!suppressions::lift(&post.stack.pool, post.client_id, "payer1@example.com").await.unwrap());
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_no_address_fails_alone() {
    let server = SmtpServer::start().await;
    let post = Post::to(&server).await;
    let mut wrong = letter(1);
    wrong.address = "not an address".to_owned();
    let mut sly = letter(2);
    sly.address = "a@b.example>\r\nRCPT TO:<c@d.example".to_owned();
    // a server by its number, which no mail is written to: not put off, as what a server says "later" to is
    let mut literal = letter(3);
    literal.address = "ana@[127.0.0.1]".to_owned();
    let report = post.mailer().deliver(&post.turn(), vec![letter(0), wrong, sly, literal]).await.unwrap();
    assert_eq!((report.sent, report.failed, report.deferred.len()), (1, 3, 0));
    assert!(report.error.unwrap().ends_with("is not an address that mail can go to"));
    assert_eq!(server.accepted()[0].recipient, "payer0@example.com");
}

/// The server of the test knows no SMTPUTF8.
#[tokio::test(flavor = "multi_thread")]
async fn a_domain_beyond_ascii_goes_to_any_server_and_a_name_does_not() {
    let server = SmtpServer::start().await;
    let post = Post::to(&server).await;
    let to = |n: usize, address: &str| {
        let mut letter = letter(n);
        letter.address = address.to_owned();
        letter.reply_to = Some("loja@padaria-pão.example".to_owned());
        letter
    };
    let letters = vec![to(0, "ana@exämple.com"), to(1, "rui@Correios.中国"), to(2, "josé@exämple.com")];
    let report = post.mailer().deliver(&post.turn(), letters).await.unwrap();
    assert_eq!((report.sent, report.failed), (2, 1));
    assert!(report.error.unwrap().contains("SMTPUTF8"));
    let mut accepted = server.accepted();
    accepted.sort_by(|one, other| one.recipient.cmp(&other.recipient));
    for (mail, address) in accepted.iter().zip(["ana@xn--exmple-cua.com", "rui@correios.xn--fiqs8s"]) {
        assert_eq!(mail.recipient, address);
        assert!(mail.raw.contains(&format!("<{address}>")), "{}", mail.raw);
        assert!(mail.raw.contains("loja@xn--padaria-po-n5a.example"), "{}", mail.raw);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reported_bounces_are_noted_and_hard_ones_suppress() {
    let server = SmtpServer::start().await;
    let post = Post::to(&server).await;
    let pool = &post.stack.pool;
    let mut conn = pool.acquire().await.unwrap();
    post.mailer().deliver(&post.turn(), letters(1)).await.unwrap();
    let id = server.accepted()[0].message_id.clone();
    let bare = id.trim_matches(['<', '>']).to_owned();
    let soft = suppressions::bounced(&mut conn, post.client_id, &bounce("Payer0@example.com", false, Some(bare)))
        .await
        .unwrap();
    assert!(soft.is_some());
    assert_eq!(suppressions::list(pool, post.client_id, "", 10).await.unwrap().len(), 0);
    suppressions::bounced(&mut conn, post.client_id, &bounce("payer0@example.com", true, Some(id))).await.unwrap();
    let noted: (String, String) = sqlx::query_as("select state, bounce from mails").fetch_one(pool).await.unwrap();
    assert_eq!((noted.0.as_str(), noted.1.as_str()), ("sent", "hard"));
    let mut more = letter(5);
    more.address = "payer0@example.com".to_owned();
    assert_eq!(post.mailer().deliver(&post.turn(), vec![more]).await.unwrap().suppressed, 1);
    let unknown = suppressions::bounced(&mut conn, post.client_id, &bounce("x@example.com", true, None)).await.unwrap();
    assert_eq!(unknown, None);
}
