//! A letter becomes a message (RFC 5322): text and HTML of the same, and what is attached.

use askama::Template;
use gristmill_core::Source;
use gristmill_pipelines::values::{is_address, trim};
use lettre::{
    Address, Message,
    message::{
        Attachment as Part, Mailbox, MultiPart, SinglePart,
        header::{ContentType, HeaderName, HeaderValue},
    },
};

use super::{Email, translations};

/// A mail as it goes over the wire, unsigned.
pub(crate) struct ComposedEmail {
    pub(crate) to: Address,
    pub(crate) raw: Vec<u8>,
    /// Its plain text.
    pub(crate) text: String,
}

/// Why a letter cannot be written; no later attempt can either, unless the writer was stopped.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComposeError {
    #[error("{0:?} is not an address that mail can go to")]
    Address(String),
    #[error("what is to be attached cannot be made")]
    Attachment(#[source] Source),
    #[error("who wrote the mail was stopped")]
    Stopped(#[source] tokio::task::JoinError),
    #[error("the mail cannot be written")]
    Message(#[from] lettre::error::Error),
    #[error("the template cannot be filled in")]
    Template(#[from] askama::Error),
    #[error("`{0}` is no media type")]
    MediaType(&'static str),
}

#[derive(Template)]
#[template(path = "mail.txt")]
struct Text<'a> {
    page: &'a translations::Page,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    language: &'a str,
    page: &'a translations::Page,
}

impl Email {
    /// Its subject.
    #[must_use]
    pub fn subject(&self) -> String {
        translations::page(self.language, &self.content).subject
    }
}

/// Writes the mail. Takes its time: call it where that is allowed.
pub(crate) fn compose(letter: Email, from: &Mailbox, message_id: &str) -> Result<ComposedEmail, ComposeError> {
    let Email { address, name, language, reply_to, content, attachment, .. } = letter;
    let to = parse(&address).ok_or(ComposeError::Address(address))?;
    let page = translations::page(language, &content);
    let text = Text { page: &page }.render()?;
    let html = Html { language: language.tag(), page: &page }.render()?;

    let name = name.map(|name| name.replace(|c: char| c.is_control(), " "));
    let mut message = Message::builder()
        .from(from.clone())
        .to(Mailbox::new(name, to.clone()))
        .subject(page.subject)
        .message_id(Some(message_id.to_owned()))
        .date_now()
        .raw_header(header("Auto-Submitted", "auto-generated"))
        .raw_header(header("Content-Language", language.tag()));
    // The client's mistake must not cost the payer the mail: one without it says as much.
    if let Some(reply_to) = reply_to.as_deref().and_then(parse) {
        message = message.reply_to(Mailbox::new(None, reply_to));
    }
    let both = MultiPart::alternative_plain_html(text.clone(), html);
    let message = match attachment {
        None => message.multipart(both)?,
        Some(make) => {
            let file = make().map_err(ComposeError::Attachment)?;
            let kind = ContentType::parse(file.media_type).map_err(|_| ComposeError::MediaType(file.media_type))?;
            let part: SinglePart = Part::new(file.filename).body(file.bytes, kind);
            message.multipart(MultiPart::mixed().multipart(both).singlepart(part))?
        }
    };
    Ok(ComposedEmail { to, raw: message.formatted(), text })
}

/// By the check that addresses in files must pass, so that whom a debt may be sent to a mail can be sent to.
fn parse(address: &str) -> Option<Address> {
    let address = trim(address);
    address.parse().ok().filter(|_| is_address(address)).map(with_ascii_domain)
}

/// Any server takes a domain in its form of ASCII letters (RFC 5890), so it is written so. Not where the name before it
/// needs a server that takes more (SMTPUTF8): that one takes both as they are (RFC 6531).
pub(crate) fn with_ascii_domain(address: Address) -> Address {
    if address.domain().is_ascii() || !address.user().is_ascii() {
        return address;
    }
    let domain = idna::domain_to_ascii(address.domain());
    domain.ok().and_then(|domain| Address::new(address.user(), domain).ok()).unwrap_or(address)
}

fn header(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

#[cfg(test)]
mod tests {
    use lettre::address::Envelope;
    use proptest::prelude::*;

    use super::{Address, is_address};

    /// Pieces of which addresses and what is none are made.
    fn text() -> impl Strategy<Value = String> {
        let piece = prop::sample::select(vec![
            "a", "Z", "7", "é", "例", "ß", "ﬁ", "-", "_", ".", "+", "@", "[", "]", "(", ")", "<", ">", "\"", "\\", ":",
            ";", ",", " ", "\u{200b}", "\u{200d}", "\u{ad}", "\u{301}", "。", "xn--", "example", "com", "127", "%0a",
            "mailto:", "{", "!", "'",
        ]);
        let pieces = |most| prop::collection::vec(piece.clone(), 0..most).prop_map(|pieces| pieces.concat());
        prop_oneof![
            4 => (pieces(5), pieces(4), pieces(3)).prop_map(|(local, name, top)| format!("a{local}@e{name}.c{top}")),
            1 => pieces(12),
        ]
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 20_000, failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn what_a_debt_may_have_the_mailer_can_send_to(text in text()) {
            if is_address(&text) {
                let address: Result<Address, _> = text.parse();
                prop_assert!(address.is_ok(), "{text:?}");
                prop_assert!(Envelope::new(None, vec![address.unwrap()]).is_ok(), "{text:?}");
            }
        }
    }
}
