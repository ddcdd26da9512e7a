//! The `Host` of a request (RFC 9112, 3.2): HTTP/1.1 has exactly one, and it is an authority.

use http::{HeaderMap, Version, header, uri::Authority};

/// What is wrong with it, if anything is, as in "Host is missing".
#[must_use]
pub fn fault(version: Version, headers: &HeaderMap) -> Option<&'static str> {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (None, _) if version >= Version::HTTP_11 => Some("is missing: HTTP/1.1 needs it"),
        (None, _) => None,
        (Some(_), Some(_)) => Some("is there twice: send one"),
        (Some(host), None) if host.is_empty() || is_authority(host.as_bytes()) => None,
        (Some(_), None) => Some("is not a host, or a host and a port"),
    }
}

fn is_authority(host: &[u8]) -> bool {
    Authority::try_from(host).is_ok_and(|authority| !authority.as_str().contains('@'))
}
