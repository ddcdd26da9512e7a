use gristmill_bills::{Language, Money};
use gristmill_mail::{Attachment, Content, Dun, Email, EndpointFacts, Payment, UploadFacts};
use gristmill_platform::testing::smtp::SmtpServer;
use jiff::civil::{Date, date};
use uuid::Uuid;

use crate::support::{Post, facts, letter, partly_paid};

/// A mail without what differs from one to the next.
fn stable(raw: &str) -> String {
    let boundaries = raw.split("boundary=\"").skip(1).map(|rest| rest.split('"').next().unwrap().to_owned());
    let mut text = raw.replace("\r\n", "\n");
    for (n, boundary) in boundaries.enumerate() {
        text = text.replace(&boundary, &format!("[boundary {n}]"));
    }
    let date = text.lines().find(|line| line.starts_with("Date: ")).unwrap().to_owned();
    text.replace(&date, "Date: [date]")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_bills_mail() {
    let server = SmtpServer::start().await;
    let post = Post::to(&server).await;
    let mut letter = letter(7);
    letter.reply_to = Some("help@acme.example".to_owned());
    letter.attachment = Some(Box::new(|| {
        Ok(Attachment { filename: "fatura-7.pdf".into(), media_type: "application/pdf", bytes: b"%PDF-1.7".to_vec() })
    }));
    post.mailer().deliver(&post.turn(), vec![letter]).await.unwrap();
    insta::assert_snapshot!(stable(&server.accepted()[0].raw));
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_in_every_language() {
    let post = Post::nowhere().await;
    let paid = |rest| Payment { amount: Money::brl(500_000), on: Date::constant(2026, 12, 3), rest };
    let upload = |detail: Option<&str>| UploadFacts {
        id: Uuid::nil(),
        filename: Some("debts.csv".to_owned()),
        read: 1_100_000,
        accepted: 1_099_000,
        rejected: 900,
        duplicate: 100,
        conflicting_duplicate: if detail.is_none() { 7 } else { 0 },
        detail: detail.map(str::to_owned),
    };
    let contents = [
        Content::Bill(facts(7)),
        Content::Dun(Dun::Reminder, facts(7)),
        Content::Dun(Dun::Overdue, facts(7)),
        Content::Bill(partly_paid(7)),
        Content::Dun(Dun::Reminder, partly_paid(7)),
        Content::Dun(Dun::Overdue, partly_paid(7)),
        Content::Receipt(paid(None), facts(7)),
        Content::Receipt(paid(Some(Money::brl(281_150))), facts(7)),
        Content::Completed(upload(None)),
        Content::Failed(upload(Some("a chunk could not be loaded"))),
        Content::Disabled(EndpointFacts {
            id: Uuid::from_u128(7),
            url: "https://acme.example/hooks".to_owned(),
            failing_since: date(2026, 11, 22),
            error: Some("answered 500 Internal Server Error".to_owned()),
            undelivered: 1_234,
        }),
    ];
    let mut letters = Vec::new();
    for language in Language::ALL {
        for (n, content) in contents.iter().enumerate() {
            letters.push(Email {
                reference: format!("{}-{n}", language.tag()),
                address: "ana@example.com".to_owned(),
                name: None,
                language,
                reply_to: None,
                content: content.clone(),
                attachment: None,
            });
        }
    }
    assert_eq!(post.mailer().deliver(&post.turn(), letters).await.unwrap().sent, 33);
    let texts: Vec<(String, String)> =
        sqlx::query_as("select subject, text from mails order by split_part(ref, '-', -1)::int, ref")
            .fetch_all(&post.stack.pool)
            .await
            .unwrap();
    let all: Vec<String> = texts.into_iter().map(|(subject, text)| format!("# {subject}\n\n{text}")).collect();
    insta::assert_snapshot!(all.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reply_to_that_is_no_address_is_left_out() {
    let server = SmtpServer::start().await;
    let post = Post::to(&server).await;
    let replies = ["help@acme.example", "help at acme", "", "help@acme.example, all@acme.example"];
    let letters = replies.iter().zip(1..).map(|(reply_to, n)| {
        let mut letter = letter(n);
        letter.reply_to = Some((*reply_to).to_owned());
        letter
    });
    assert_eq!(post.mailer().deliver(&post.turn(), letters.collect()).await.unwrap().sent, 4);
    let mut found: Vec<(String, bool)> =
        server.accepted().into_iter().map(|mail| (mail.recipient, mail.raw.contains("Reply-To:"))).collect();
    found.sort();
    let wanted: Vec<_> = (1..=4).map(|n| (format!("payer{n}@example.com"), n == 1)).collect();
    assert_eq!(found, wanted);
}

#[tokio::test(flavor = "multi_thread")]
async fn names_cannot_write_headers_or_markup() {
    let server = SmtpServer::start().await;
    let post = Post::to(&server).await;
    let mut sly = letter(1);
    let mut bill = facts(1);
    bill.issuer = "Acme\r\nBcc: all@example.com".to_owned();
    bill.payer = "<script>alert(1)</script>".to_owned();
    sly.name = Some("Ana\r\nBcc: all@example.com".to_owned());
    sly.content = Content::Bill(bill);
    sly.attachment = None;
    post.mailer().deliver(&post.turn(), vec![sly]).await.unwrap();
    let raw = server.accepted()[0].raw.clone();
    let (head, body) = raw.split_once("\r\n\r\n").unwrap();
    assert!(!head.lines().any(|line| line.starts_with("Bcc")), "{head}");
    let html = &body[body.find("text/html").unwrap()..];
    assert!(!html.contains("<script>"), "{html}");
}
