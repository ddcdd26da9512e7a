use std::{fmt::Display, future::Future, path::Path, time::Duration};

use lettre::transport::smtp::{
    authentication::{Credentials, Mechanism},
    client::{AsyncSmtpConnection, Certificate, TlsParameters},
    commands::Quit,
    extension::ClientId,
};
use url::Url;

/// Where mails go, and how the connection is kept private.
pub(crate) struct Server {
    host: String,
    port: u16,
    tls: Tls,
    login: Option<Credentials>,
    hello: ClientId,
    pub(super) timeout: Duration,
}

enum Tls {
    None,
    Opportunistic(TlsParameters),
    Required(TlsParameters),
    Wrapped(TlsParameters),
}

/// Why a mail server cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It is not the URL of a mail server.
    #[error("not smtp://user:password@host:587 (at its end ?tls=required, opportunistic or none) or smtps://…")]
    Url,
    /// The certificates cannot be read.
    #[error("the certificates to trust cannot be read")]
    File(#[from] std::io::Error),
    /// TLS does not take the certificates or the host's name.
    #[error("TLS cannot be set up")]
    Tls(#[source] lettre::transport::smtp::Error),
}

impl Server {
    /// Understands a URL; `hello` is how this side presents itself.
    pub(crate) fn new(url: &str, ca: Option<&Path>, hello: &str, timeout: Duration) -> Result<Self, ServerError> {
        let url = Url::parse(url).map_err(|_| ServerError::Url)?;
        let host = url.host_str().ok_or(ServerError::Url)?.trim_matches(['[', ']']).to_owned();
        let wish = url.query_pairs().find(|(name, _)| name == "tls").map(|(_, value)| value.into_owned());
        let parameters = || {
            let mut builder = TlsParameters::builder(host.clone());
            if let Some(ca) = ca {
                builder =
                    builder.add_root_certificate(Certificate::from_pem(&std::fs::read(ca)?).map_err(ServerError::Tls)?);
            }
            builder.build().map_err(ServerError::Tls)
        };
        let (tls, port) = match (url.scheme(), wish.as_deref()) {
            ("smtps", None | Some("required")) => (Tls::Wrapped(parameters()?), 465),
            ("smtp", None | Some("required")) => (Tls::Required(parameters()?), 587),
            ("smtp", Some("opportunistic")) => (Tls::Opportunistic(parameters()?), 587),
            ("smtp", Some("none")) => (Tls::None, 25),
            _ => return Err(ServerError::Url),
        };
        Ok(Self {
            port: url.port().unwrap_or(port),
            tls,
            login: login(&url)?,
            hello: ClientId::Domain(hello.to_owned()),
            timeout,
            host,
        })
    }

    /// A connection that is ready for a mail.
    pub(super) async fn connect(&self) -> Result<AsyncSmtpConnection, String> {
        let wrapped = match &self.tls {
            Tls::Wrapped(parameters) => Some(parameters.clone()),
            _ => None,
        };
        let address = (self.host.as_str(), self.port);
        let connecting = AsyncSmtpConnection::connect_tokio1(address, Some(self.timeout), &self.hello, wrapped, None);
        // The greeting of a server under load may take its time, and TLS has several steps.
        let mut connection = self.within(4, "to be connected", connecting).await?;
        let upgrade = match &self.tls {
            Tls::Required(parameters) => Some(parameters),
            Tls::Opportunistic(parameters) if connection.can_starttls() => Some(parameters),
            _ => None,
        };
        if let Some(parameters) = upgrade {
            self.within(3, "to STARTTLS", connection.starttls(parameters.clone(), &self.hello)).await?;
        }
        if let Some(login) = &self.login {
            let mechanisms = [Mechanism::Plain, Mechanism::Login];
            if let Err(error) = self.within(3, "to AUTH", connection.auth(&mechanisms, login)).await {
                let _ = self.within(1, "to QUIT", connection.command(Quit)).await;
                return Err(error);
            }
        }
        Ok(connection)
    }

    async fn within<T, E: Display>(
        &self,
        times: u32,
        what: &str,
        step: impl Future<Output = Result<T, E>>,
    ) -> Result<T, String> {
        match tokio::time::timeout(self.timeout * times, step).await {
            Ok(done) => done.map_err(|error| format!("the mail server does not let us {}: {error}", &what[3..])),
            Err(_) => Err(format!("the mail server took too long {what}")),
        }
    }
}

fn login(url: &Url) -> Result<Option<Credentials>, ServerError> {
    let Some(password) = url.password() else { return Ok(None) };
    let plain = |text: &str| percent(text).ok_or(ServerError::Url);
    Ok(Some(Credentials::new(plain(url.username())?, plain(password)?)))
}

/// `%40` is an `@`.
fn percent(text: &str) -> Option<String> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((first, more)) = rest.split_first() {
        rest = more;
        if *first == b'%' {
            let (digits, more) = rest.split_at_checked(2)?;
            bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
            rest = more;
        } else {
            bytes.push(*first);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(url: &str) -> Result<Server, ServerError> {
        Server::new(url, None, "me.example", Duration::from_secs(1))
    }

    #[test]
    fn urls_say_how_private_it_is() {
        let required = server("smtp://ana%40acme.example:p%3Aw@mail.example").unwrap();
        assert!(matches!(required.tls, Tls::Required(_)) && required.port == 587);
        assert!(format!("{:?}", required.login).contains("Credentials"));
        assert!(matches!(server("smtp://mail.example?tls=opportunistic").unwrap().tls, Tls::Opportunistic(_)));
        let none = server("smtp://[::1]:1025?tls=none").unwrap();
        assert!(matches!(none.tls, Tls::None) && none.port == 1025 && none.host == "::1");
        assert!(matches!(server("smtps://mail.example").unwrap().tls, Tls::Wrapped(_)));
        for bad in
            ["mail.example", "http://mail.example", "smtp://mail.example?tls=maybe", "smtps://mail.example?tls=none"]
        {
            assert!(matches!(server(bad), Err(ServerError::Url)), "{bad}");
        }
        assert_eq!(percent("a%40b%").as_deref(), None);
        assert_eq!(percent("a%40b").as_deref(), Some("a@b"));
    }
}
