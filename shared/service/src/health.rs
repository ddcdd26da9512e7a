//! Whether a process lives, and whether it can work.

use std::{collections::BTreeMap, fmt, future::Future, sync::Arc, time::Duration};

use futures::{FutureExt as _, future::BoxFuture};
use serde::Serialize;

/// A load balancer asks every few seconds and does not wait long.
const CHECK_TIMEOUT: Duration = Duration::from_secs(2);

/// What a role needs to be ready, each by a check of its own, and why it is of no use any more.
#[derive(Clone)]
pub struct Health {
    role: &'static str,
    checks: Vec<(&'static str, Check)>,
    life: Option<Life>,
}

/// What is wrong, in a few words: the answer is open to everybody who reaches the port.
type Check = Arc<dyn Fn() -> BoxFuture<'static, Result<(), String>> + Send + Sync>;

/// Why a role is of no use any more; none: it lives.
type Life = Arc<dyn Fn() -> Option<String> + Send + Sync>;

impl Health {
    /// Of a role that needs nothing to be ready, until told otherwise.
    #[must_use]
    pub fn of(role: &'static str) -> Self {
        Self { role, checks: Vec::new(), life: None }
    }

    /// Ready only while this check finds nothing wrong, within two seconds.
    #[must_use]
    pub fn with_check<F, Fut>(mut self, name: &'static str, check: F) -> Self
    where
        F: Fn() -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<(), String>> + Send + 'static,
    {
        self.checks.push((name, Arc::new(move || check().boxed())));
        self
    }

    /// Alive only while this says nothing against it: `/healthz` fails with what it says.
    #[must_use]
    pub fn with_life(self, unhealthy_reason: impl Fn() -> Option<String> + Send + Sync + 'static) -> Self {
        Self { life: Some(Arc::new(unhealthy_reason)), ..self }
    }

    pub(crate) fn unhealthy_reason(&self) -> Option<String> {
        self.life.as_ref().and_then(|unhealthy_reason| unhealthy_reason())
    }

    /// Makes every check, all at the same time.
    pub async fn examine(&self) -> Readiness {
        let checks = self.checks.iter().map(|(name, check)| async move {
            let outcome = match tokio::time::timeout(CHECK_TIMEOUT, check()).await {
                Ok(Ok(())) => "ok".to_owned(),
                Ok(Err(problem)) => problem,
                Err(_) => "does not answer in time".to_owned(),
            };
            (*name, outcome)
        });
        let checks: BTreeMap<_, _> = futures::future::join_all(checks).await.into_iter().collect();
        let ready = checks.values().all(|outcome| outcome == "ok");
        Readiness { role: self.role, status: if ready { "ready" } else { "not ready" }, checks, ready }
    }
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let checks: Vec<_> = self.checks.iter().map(|(name, _)| name).collect();
        f.debug_struct("Health").field("role", &self.role).field("checks", &checks).finish_non_exhaustive()
    }
}

/// What the checks of a [`Health`] found.
#[derive(Debug, Clone, Serialize)]
pub struct Readiness {
    role: &'static str,
    status: &'static str,
    checks: BTreeMap<&'static str, String>,
    #[serde(skip)]
    ready: bool,
}

impl Readiness {
    /// Whether all of them are well.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        self.ready
    }

    /// What was asked, and how it is: `ok`, or what is wrong.
    pub fn checks(&self) -> impl Iterator<Item = (&'static str, &str)> {
        self.checks.iter().map(|(name, outcome)| (*name, outcome.as_str()))
    }
}
