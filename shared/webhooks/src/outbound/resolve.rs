//! Names to addresses that may be called. The connection is made to these very addresses, so that a name which leads
//! elsewhere a moment later leads nowhere.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    sync::Arc,
};

use gristmill_platform::config::OutboundConfig;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{NotPublic, address::may_call};

/// Who is asked for a name's addresses.
pub(super) trait Lookup: Send + Sync {
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;
}

/// This machine's resolver.
pub(super) struct System;

impl Lookup for System {
    fn lookup(&self, name: String) -> Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>> {
        Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.map(|found| found.ip()).collect()) })
    }
}

pub(super) struct GuardedResolver {
    pub(super) config: Arc<OutboundConfig>,
    pub(super) lookup: Arc<dyn Lookup>,
}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let config = Arc::clone(&self.config);
        let looking = self.lookup.lookup(name.as_str().to_owned());
        Box::pin(async move {
            let found = looking.await?;
            let may: Vec<SocketAddr> =
                found.iter().filter(|address| may_call(&config, **address)).map(|ip| SocketAddr::new(*ip, 0)).collect();
            match (may.is_empty(), found.first()) {
                (false, _) => Ok(Box::new(may.into_iter()) as Addrs),
                (true, Some(&address)) => Err(NotPublic { address }.into()),
                (true, None) => Err(io::Error::from(io::ErrorKind::NotFound).into()),
            }
        })
    }
}
