//! Why there was no connection, in words that tell nothing of what stands there: certificates name other hosts, and
//! errors of the system addresses.

use std::{error::Error, fmt, io};

/// Why there was no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoConnection {
    /// Nobody listens there.
    Refused,
    /// No way leads there.
    Unreachable,
    /// Its certificate is not to be trusted.
    Certificate,
    /// There is no way to speak TLS with it.
    Tls,
    /// It broke off at once.
    Reset,
    /// Its name leads nowhere.
    Unknown,
}

impl fmt::Display for NoConnection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Refused => "it was refused",
            Self::Unreachable => "no way leads there",
            Self::Certificate => {
                "the certificate is not valid for this name, not of this time, or of an authority that is not trusted"
            }
            Self::Tls => "no TLS could be agreed on",
            Self::Reset => "it broke off at once",
            Self::Unknown => "the name leads nowhere, or nobody answers there",
        })
    }
}

impl NoConnection {
    pub(super) fn of(error: &(dyn Error + 'static)) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            match error.downcast_ref() {
                Some(rustls::Error::InvalidCertificate(_)) => return Self::Certificate,
                Some(_) => return Self::Tls,
                None => {}
            }
            next = match error.downcast_ref::<io::Error>() {
                // `source` of such an error skips the error inside.
                Some(error) => match (error.get_ref(), error.kind()) {
                    (Some(inner), _) => Some(inner as &(dyn Error + 'static)),
                    (None, io::ErrorKind::ConnectionRefused) => return Self::Refused,
                    (None, io::ErrorKind::ConnectionReset | io::ErrorKind::UnexpectedEof) => return Self::Reset,
                    (None, io::ErrorKind::HostUnreachable | io::ErrorKind::NetworkUnreachable) => {
                        return Self::Unreachable;
                    }
                    (None, _) => return Self::Unknown,
                },
                None => error.source(),
            };
        }
        Self::Unknown
    }
}
