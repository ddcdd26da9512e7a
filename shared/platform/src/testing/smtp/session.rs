//! One connection of a client.

use std::io;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;
use tokio_rustls::TlsAcceptor;

use super::{Act, Mail, Moment, Shared};

/// Whether the session goes on.
enum Next {
    Go,
    HangUp,
}

/// A session that may become one over TLS.
pub(super) async fn plain(stream: TcpStream, shared: &Arc<Shared>, number: usize) -> io::Result<()> {
    let Some(stream) = serve(stream, shared, number, false).await? else { return Ok(()) };
    let tls = shared.setup.tls.clone().ok_or(io::ErrorKind::Unsupported)?;
    let stream = TlsAcceptor::from(tls).accept(stream).await?;
    Session::new(stream, shared, true).commands().await.map(|_| ())
}

/// A session from its greeting; gives the stream back for TLS.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin>(
    stream: S,
    shared: &Arc<Shared>,
    number: usize,
    encrypted: bool,
) -> io::Result<Option<S>> {
    let mut session = Session::new(stream, shared, encrypted);
    match session.moment(&Moment::Connect(number), "220 test ESMTP").await? {
        Next::Go => session.commands().await,
        Next::HangUp => Ok(None),
    }
}

struct Session<'a, S> {
    stream: BufReader<S>,
    shared: &'a Shared,
    encrypted: bool,
    known: bool,
    recipient: String,
    utf8: bool,
}

impl<'a, S: AsyncRead + AsyncWrite + Unpin> Session<'a, S> {
    fn new(stream: S, shared: &'a Shared, encrypted: bool) -> Self {
        let known = shared.setup.login.is_none();
        Self { stream: BufReader::new(stream), shared, encrypted, known, recipient: String::new(), utf8: false }
    }

    async fn commands(mut self) -> io::Result<Option<S>> {
        let mut line = String::new();
        loop {
            line.clear();
            if self.stream.read_line(&mut line).await? == 0 {
                return Ok(None);
            }
            let (verb, rest) = line.trim_end().split_once([' ', ':']).unwrap_or((line.trim_end(), ""));
            let next = match verb.to_ascii_uppercase().as_str() {
                "EHLO" => self.hello().await?,
                "STARTTLS" if self.shared.setup.tls.is_some() && !self.encrypted => {
                    self.say("220 go ahead").await?;
                    return Ok(Some(self.stream.into_inner()));
                }
                "AUTH" => self.auth(rest).await?,
                "MAIL" if !self.known => self.say("530 5.7.0 who are you").await?,
                "MAIL" => {
                    self.utf8 = rest.ends_with(" SMTPUTF8");
                    self.moment(&Moment::Mail, "250 2.1.0 ok").await?
                }
                "RCPT" => {
                    self.recipient = rest.split(['<', '>']).nth(1).unwrap_or_default().to_owned();
                    self.moment(&Moment::Rcpt(self.recipient.clone()), "250 2.1.5 ok").await?
                }
                "DATA" => self.data().await?,
                "RSET" | "NOOP" => self.say("250 2.0.0 ok").await?,
                "QUIT" => {
                    self.say("221 2.0.0 bye").await?;
                    Next::HangUp
                }
                _ => self.say("500 5.5.1 what").await?,
            };
            if let Next::HangUp = next {
                return Ok(None);
            }
        }
    }

    async fn say(&mut self, line: &str) -> io::Result<Next> {
        let stream = self.stream.get_mut();
        stream.write_all(format!("{line}\r\n").as_bytes()).await?;
        stream.flush().await?;
        Ok(if line.starts_with("421") { Next::HangUp } else { Next::Go })
    }

    /// Behaves, with this line, or does what the script says.
    async fn moment(&mut self, moment: &Moment, line: &str) -> io::Result<Next> {
        match self.shared.act(moment) {
            Act::Behave => self.say(line).await,
            Act::Say(other) => self.say(&other).await,
            Act::Drop => Ok(Next::HangUp),
            Act::BehaveAndDrop => self.say(line).await.map(|_| Next::HangUp),
            Act::Wait(time) => {
                tokio::time::sleep(time).await;
                self.say(line).await
            }
        }
    }

    async fn hello(&mut self) -> io::Result<Next> {
        let mut lines = vec!["test", "8BITMIME", "ENHANCEDSTATUSCODES"];
        if self.shared.setup.tls.is_some() && !self.encrypted {
            lines.push("STARTTLS");
        }
        if self.shared.setup.login.is_some() {
            lines.push("AUTH PLAIN LOGIN");
        }
        if self.shared.setup.utf8 {
            lines.push("SMTPUTF8");
        }
        let last = lines.len() - 1;
        let text: Vec<String> = lines
            .iter()
            .enumerate()
            .map(|(n, line)| format!("250{}{line}", if n == last { ' ' } else { '-' }))
            .collect();
        self.say(&text.join("\r\n")).await
    }

    async fn auth(&mut self, rest: &str) -> io::Result<Next> {
        let Some((name, password)) = &self.shared.setup.login else { return self.say("503 5.5.1 no").await };
        // base64 of "\0name\0password", by hand: it is compared, not decoded
        let expected = base64(format!("\0{name}\0{password}").as_bytes());
        self.known = rest.strip_prefix("PLAIN ").is_some_and(|given| given.trim() == expected);
        self.say(if self.known { "235 2.7.0 ok" } else { "535 5.7.8 no" }).await
    }

    async fn data(&mut self) -> io::Result<Next> {
        match self.shared.act(&Moment::Data) {
            Act::Say(line) => return self.say(&line).await,
            Act::Drop => return Ok(Next::HangUp),
            Act::Wait(time) => tokio::time::sleep(time).await,
            Act::Behave | Act::BehaveAndDrop => {}
        }
        self.say("354 go on").await?;
        let mail = self.mail().await?;
        let before = self.shared.seen(|seen| {
            let times = seen.times.entry(mail.message_id.clone()).or_insert(0);
            *times += 1;
            *times - 1
        });
        let act = self.shared.act(&Moment::End(mail.message_id.clone(), before));
        if let Act::Wait(time) = act {
            tokio::time::sleep(time).await;
        }
        match act {
            Act::Say(line) => self.say(&line).await,
            Act::Drop => {
                self.shared.seen(|seen| seen.unanswered.push(mail));
                Ok(Next::HangUp)
            }
            act => {
                // Counted before it is said: what the client knows, the test knows.
                let forget = self.shared.setup.forget;
                self.shared.seen(|seen| {
                    seen.count += 1;
                    if !forget {
                        seen.accepted.push(mail);
                    }
                });
                let next = self.say("250 2.0.0 taken").await?;
                Ok(if act == Act::BehaveAndDrop { Next::HangUp } else { next })
            }
        }
    }

    async fn mail(&mut self) -> io::Result<Mail> {
        let mut raw = Vec::new();
        loop {
            let begin = raw.len();
            if (&mut self.stream).take(1 << 20).read_until(b'\n', &mut raw).await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            if &raw[begin..] == b".\r\n" {
                raw.truncate(begin);
                break;
            }
            if raw[begin] == b'.' {
                raw.remove(begin);
            }
        }
        let raw = String::from_utf8_lossy(&raw).into_owned();
        let id = raw.lines().find_map(|line| line.strip_prefix("Message-ID: ")).unwrap_or_default().to_owned();
        let (encrypted, utf8) = (self.encrypted, self.utf8);
        Ok(Mail { message_id: id, recipient: self.recipient.clone(), raw, encrypted, utf8 })
    }
}

fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let bits = three.iter().enumerate().fold(0_u32, |bits, (n, byte)| bits | u32::from(*byte) << (16 - 8 * n));
        for n in 0..4 {
            text.push(if n <= three.len() { DIGITS[(bits >> (18 - 6 * n) & 63) as usize].into() } else { '=' });
        }
    }
    text
}
