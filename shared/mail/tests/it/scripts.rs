//! Names in any script: headers as RFC 2047 and RFC 6532 have them, and texts that carry them as they are.

use base64::{Engine as _, prelude::BASE64_STANDARD};
use gristmill_mail::{Content, Email};
use gristmill_platform::testing::smtp::{Act, Mail, Setup, SmtpServer};

use crate::support::{Post, facts, letter};

/// Of a payer and of who bills it.
fn names() -> Vec<(String, String)> {
    let pair = |payer: &str, issuer: &str| (payer.to_owned(), issuer.to_owned());
    vec![
        pair("Γιώργος Παπαδόπουλος", "Ηλεκτρική Εταιρεία Α.Ε."),
        pair("Ольга Ивановна Семёнова-Тян-Шанская", "Общество «Ромашка»"),
        pair("محمد بن سلمان", "شركة الكهرباء"),
        pair("王小明", "北京電力公司"),
        pair("山田 Taro 太郎", "Acme 日本株式会社"),
        pair("Zoë 🎉 👨\u{200d}👩\u{200d}👧", "🍕 Pizza & Amigos"),
        // Letters with their marks apart, which nobody may put together.
        pair("Ame\u{301}lie Noe\u{308}l", "Cafe\u{301} Ltda"),
        pair(&"龍".repeat(200), "Ωμέγα ".repeat(30).trim_end()),
    ]
}

fn letter_to(n: usize, payer: &str, issuer: &str) -> Email {
    let mut letter = letter(n);
    let mut bill = facts(n);
    (bill.payer, bill.issuer) = (payer.to_owned(), issuer.to_owned());
    letter.name = Some(payer.to_owned());
    letter.content = Content::Bill(bill);
    letter
}

/// A header's value in one line, as it was sent.
fn header(mail: &Mail, name: &str) -> String {
    let (head, _) = mail.raw.split_once("\r\n\r\n").unwrap();
    let head = head.replace("\r\n ", " ");
    let value = head.lines().find_map(|line| line.strip_prefix(&format!("{name}: ")));
    value.unwrap_or_else(|| panic!("no {name} in {head}")).to_owned()
}

/// What an encoded word stands for. Each is whole characters by itself (RFC 2047, section 5).
fn word(token: &str) -> Option<String> {
    let encoded = token.strip_prefix("=?utf-8?b?")?.strip_suffix("?=")?;
    assert!(token.len() <= 75, "{token} is longer than an encoded word may be");
    Some(String::from_utf8(BASE64_STANDARD.decode(encoded).unwrap()).unwrap())
}

/// A header's value as a reader shows it: blanks between encoded words are none.
fn shown(value: &str) -> String {
    let (mut text, mut behind_a_word) = (String::new(), false);
    for token in value.split(' ') {
        let word = word(token);
        let between_words = behind_a_word && word.is_some();
        if !text.is_empty() && !between_words {
            text.push(' ');
        }
        behind_a_word = word.is_some();
        text.push_str(word.as_deref().unwrap_or(token));
    }
    text
}

fn quoted_printable(text: &str) -> Vec<u8> {
    let text = text.replace("=\r\n", "");
    let mut pieces = text.split('=');
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    bytes
}

/// The part of a mail with this type, decoded.
fn part(mail: &Mail, kind: &str) -> String {
    let begin = mail.raw.find(&format!("Content-Type: {kind}; charset=utf-8\r\n")).unwrap();
    let (head, body) = mail.raw[begin..].split_once("\r\n\r\n").unwrap();
    let boundaries = mail.raw.split("boundary=\"").skip(1).map(|rest| rest.split('"').next().unwrap());
    let end = boundaries.filter_map(|boundary| body.find(&format!("\r\n--{boundary}"))).min().unwrap();
    let encoding = head.lines().find_map(|line| line.strip_prefix("Content-Transfer-Encoding: ")).unwrap();
    let bytes = match encoding {
        "quoted-printable" => quoted_printable(&body[..end]),
        "base64" => BASE64_STANDARD.decode(body[..end].replace("\r\n", "")).unwrap(),
        other => panic!("{other}"),
    };
    String::from_utf8(bytes).unwrap()
}

/// What holds for every mail that any server takes.
fn fits_any_server(mail: &Mail) {
    assert!(mail.raw.is_ascii() && !mail.utf8, "{}", mail.raw);
    for line in mail.raw.split("\r\n") {
        assert!(line.len() <= 998 && !line.contains(['\r', '\n']), "{line}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn names_in_any_script_arrive_as_they_are() {
    let server = SmtpServer::start().await;
    let mut post = Post::to(&server).await;
    post.config.mail_from = "\"Компания «Акме»\" <bills@acme.example>".to_owned();
    let names = names();
    let letters = names.iter().enumerate().map(|(n, (payer, issuer))| letter_to(n, payer, issuer)).collect();
    assert_eq!(post.mailer().deliver(&post.turn(), letters).await.unwrap().sent, names.len());
    for mail in server.accepted() {
        fits_any_server(&mail);
        let n: usize = mail.recipient.trim_start_matches("payer").split('@').next().unwrap().parse().unwrap();
        let (payer, issuer) = &names[n];
        assert_eq!(shown(&header(&mail, "From")), "Компания «Акме» <bills@acme.example>");
        assert_eq!(shown(&header(&mail, "To")), format!("{payer} <payer{n}@example.com>"));
        let subject = shown(&header(&mail, "Subject"));
        assert_eq!(subject, format!("Fatura {n:06} de {issuer}, vencimento em 31/12/2026"));
        let text = part(&mail, "text/plain");
        assert!(text.starts_with(&format!("Olá, {payer},\r\n")), "{text}");
        assert!(text.contains(&format!("-- \r\n{issuer}")), "{text}");
        let html = part(&mail, "text/html");
        let escaped = issuer.replace('&', "&#38;");
        assert!(html.contains(payer) && html.contains(&escaped), "{html}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn addresses_in_any_script_go_to_servers_that_take_them() {
    let setup = Setup { utf8: true, ..Setup::default() };
    let server = SmtpServer::with(setup, |_| Act::Behave).await;
    let post = Post::to(&server).await;
    let addresses = ["δοκιμή@παράδειγμα.gr", "почта@пример.рф", "用户@例子.广告", "ana@example.com"];
    let letters = addresses.iter().enumerate().map(|(n, address)| {
        let mut letter = letter_to(n, "Ольга 王", "Общество «Ромашка»");
        letter.address = (*address).to_owned();
        letter
    });
    let report = post.mailer().deliver(&post.turn(), letters.collect()).await.unwrap();
    assert_eq!((report.sent, report.failed), (4, 0), "{report:?}");
    for mail in server.accepted() {
        assert!(addresses.contains(&mail.recipient.as_str()), "{}", mail.recipient);
        assert_eq!(shown(&header(&mail, "To")), format!("Ольга 王 <{}>", mail.recipient));
        if mail.recipient.is_ascii() {
            fits_any_server(&mail);
            continue;
        }
        assert!(mail.utf8, "such a mail says SMTPUTF8");
        // The address stands in the header as it is (RFC 6532), in no encoded word.
        assert!(header(&mail, "To").ends_with(&format!("<{}>", mail.recipient)), "{}", mail.raw);
        assert!(part(&mail, "text/plain").starts_with("Olá, Ольга 王,\r\n"));
    }
}
