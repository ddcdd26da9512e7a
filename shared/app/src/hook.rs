//! Who hears of what happens to jobs.

use std::{fmt, sync::Arc, time::Duration};

use futures::future::BoxFuture;
use gristmill_queue::JobEvent;
use tokio::{sync::mpsc, task::JoinHandle};

pub(crate) type Hook = Arc<dyn Fn(JobEvent) -> BoxFuture<'static, ()> + Send + Sync>;

/// Sends events to the hooks of a process, if it has any.
#[derive(Clone, Default)]
pub(crate) struct Hooks(Option<mpsc::UnboundedSender<JobEvent>>);

impl Hooks {
    /// Calls each hook with each event: in order, one call after the other, beside the jobs. Ends when nobody sends any more.
    pub(crate) fn start(hooks: Vec<Hook>) -> (Self, Option<JoinHandle<()>>) {
        if hooks.is_empty() {
            return (Self::default(), None);
        }
        let (sender, mut events) = mpsc::unbounded_channel::<JobEvent>();
        let task = tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                for hook in &hooks {
                    // A task of its own: what panics in it stays in it.
                    let called = tokio::spawn(hook(event.clone()));
                    if tokio::time::timeout(PATIENCE, called).await.is_err() {
                        tracing::warn!(job = %event.id, "a hook takes longer than {PATIENCE:?}: it is waited for no more");
                    }
                }
            }
        });
        (Self(Some(sender)), Some(task))
    }

    pub(crate) fn is_there(&self) -> bool {
        self.0.is_some()
    }

    pub(crate) fn tell(&self, event: impl FnOnce() -> JobEvent) {
        if let Some(sender) = &self.0 {
            // Nobody listens any more when the process ends.
            let _ = sender.send(event());
        }
    }
}

/// A hook that hangs must not keep the events of all jobs.
const PATIENCE: Duration = Duration::from_secs(10);

impl fmt::Debug for Hooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Hooks").field(&self.0.is_some()).finish()
    }
}
