use std::{fmt, future::Future, time::Duration};

use lettre::{
    Address,
    transport::smtp::{
        Error,
        client::AsyncSmtpConnection,
        commands::{Data, Mail, Rcpt, Rset},
        extension::{Extension, MailParameter},
        response::Response,
    },
};

use super::{
    Outcome, Server,
    verdict::{Stage, verdict},
};

/// How a mail's dialogue ended.
pub(super) enum DialogueEnd {
    /// The connection is ready for the next one.
    Kept(Outcome),
    /// It is not.
    Lost(Outcome),
    /// It was of no use from the start: the server has heard nothing of this mail.
    Stale(String),
}

/// An answer that is not the one wished for.
enum Answer {
    /// A code and its text.
    No(u16, String),
    /// None that can be understood, or none at all.
    None(String),
}

/// `MAIL`, `RCPT`, `DATA`, the mail.
pub(super) async fn dialogue(
    connection: &mut AsyncSmtpConnection,
    server: &Server,
    from: &Address,
    to: &Address,
    mail: &[u8],
) -> DialogueEnd {
    let time = server.timeout;
    let Ok(mail) = str::from_utf8(mail) else {
        return DialogueEnd::Kept(Outcome::Refused("the mail is not text".to_owned()));
    };
    let mut parameters = Vec::new();
    let ascii = |address: &Address| AsRef::<str>::as_ref(address).is_ascii();
    if !ascii(to) || !ascii(from) {
        if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
            return DialogueEnd::Kept(Outcome::Refused(
                "the mail server takes no addresses beyond ASCII (SMTPUTF8)".to_owned(),
            ));
        }
        parameters.push(MailParameter::SmtpUtfEight);
    }
    // What goes wrong here is not the recipient's fault.
    match asked(time, connection.command(Mail::new(Some(from.clone()), parameters))).await {
        Ok(_) => {}
        Err(Answer::No(421, text) | Answer::None(text)) => return DialogueEnd::Stale(text),
        Err(Answer::No(code, text)) => return DialogueEnd::Lost(Outcome::Unreachable(format!("{code} {text}"))),
    }
    for stage in [Stage::Rcpt, Stage::Data, Stage::End] {
        let answer = match stage {
            Stage::Rcpt => asked(time, connection.command(Rcpt::new(to.clone(), Vec::new()))).await,
            Stage::Data => asked(time, connection.command(Data)).await,
            // To give up here risks a second mail, so it is the last thing to do (RFC 5321, section 4.5.3.2.6).
            Stage::End => asked(time * 10, connection.command(Whole(mail))).await,
        };
        match answer {
            Ok(_) => {}
            Err(Answer::None(text)) => {
                return DialogueEnd::Lost(Outcome::Unreachable(format!("no answer to {}: {text}", stage.as_str())));
            }
            Err(Answer::No(code, text)) => {
                let outcome = verdict(stage, code, &text);
                return if code != 421 && asked(time, connection.command(Rset)).await.is_ok() {
                    DialogueEnd::Kept(outcome)
                } else {
                    DialogueEnd::Lost(outcome)
                };
            }
        }
    }
    DialogueEnd::Kept(Outcome::Sent)
}

/// A mail as it goes over the wire, to its closing dot. By one write: lettre's own makes two, and the second one, of five
/// bytes, waits 40 ms for the acknowledgement of the first.
struct Whole<'a>(&'a str);

impl fmt::Display for Whole<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A line that begins with a dot gets another one.
        for line in self.0.split_inclusive("\r\n") {
            if line.starts_with('.') {
                f.write_str(".")?;
            }
            f.write_str(line)?;
        }
        f.write_str(if self.0.ends_with("\r\n") { ".\r\n" } else { "\r\n.\r\n" })
    }
}

async fn asked(time: Duration, step: impl Future<Output = Result<Response, Error>>) -> Result<Response, Answer> {
    match tokio::time::timeout(time, step).await {
        Ok(Ok(response)) => Ok(response),
        Ok(Err(error)) => Err(match (error.status(), std::error::Error::source(&error)) {
            (Some(code), text) => Answer::No(code.into(), text.map(ToString::to_string).unwrap_or_default()),
            (None, _) => Answer::None(error.to_string()),
        }),
        Err(_) => Err(Answer::None(format!("nothing within {time:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dots_do_not_end_a_mail() {
        assert_eq!(Whole(".a\r\n.\r\nb.\r\n").to_string(), "..a\r\n..\r\nb.\r\n.\r\n");
        assert_eq!(Whole("a").to_string(), "a\r\n.\r\n");
    }
}
