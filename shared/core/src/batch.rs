//! Natural batching: one statement for all requests that are waiting; the next ones gather meanwhile.

use std::{error::Error, future::Future, sync::Arc, time::Duration};

use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::chain;

/// What a batch may fail with.
pub trait BatchError: Error + Send + 'static {
    /// Whether the same batch may succeed later; what is not transient is refused for an input in it.
    fn is_transient(&self) -> bool;
}

/// Requests to one batching task. The task ends with its last handle.
pub struct Batcher<I, O> {
    requests: mpsc::UnboundedSender<Request<I, O>>,
}

/// An input, and where its answer goes.
type Request<I, O> = (I, oneshot::Sender<O>);

impl<I, O> Clone for Batcher<I, O> {
    fn clone(&self) -> Self {
        Self { requests: self.requests.clone() }
    }
}

impl<I: Clone + Send + Sync + 'static, O: Send + 'static> Batcher<I, O> {
    /// `run` answers a batch of at most `limit` in its order. It is called again until it succeeds; `what` names it in the
    /// log. Needs a runtime.
    pub fn new<F, Fut, E>(what: &'static str, limit: usize, run: F) -> Self
    where
        F: Fn(Vec<I>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<O>, E>> + Send + 'static,
        E: BatchError,
    {
        let (requests, mut waiting) = mpsc::unbounded_channel();
        let run = Arc::new(run);
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while waiting.recv_many(&mut batch, limit).await > 0 {
                // Who was woken with the first of them asks, too, before it begins: jobs that one statement let go on.
                while batch.len() < limit && gather(&mut waiting, &mut batch, limit).await {}
                run_until_success(what, std::mem::take(&mut batch), &run).await;
            }
        });
        Self { requests }
    }

    /// Waits for the answer, however long the ledger is away.
    pub async fn submit(&self, input: I) -> O {
        let (reply, answer) = oneshot::channel();
        // The task lives as long as this handle, and answers everything it took.
        let _ = self.requests.send((input, reply));
        match answer.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Lets run what can run at this moment, and takes what it has asked for. Whether that was anything.
async fn gather<T>(waiting: &mut mpsc::UnboundedReceiver<T>, batch: &mut Vec<T>, limit: usize) -> bool {
    let before = batch.len();
    tokio::task::yield_now().await;
    while batch.len() < limit
        && let Ok(one) = waiting.try_recv()
    {
        batch.push(one);
    }
    batch.len() > before
}

/// Runs a batch until it succeeds. One input that the ledger refuses does not hold up the others: the batch is halved, and
/// who is left is tried again by itself, as long as somebody waits for it.
async fn run_until_success<I, O, F, Fut, E>(what: &'static str, batch: Vec<Request<I, O>>, run: &Arc<F>)
where
    I: Clone + Send + 'static,
    O: Send + 'static,
    F: Fn(Vec<I>) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<Vec<O>, E>> + Send + 'static,
    E: BatchError,
{
    let mut parts = vec![batch];
    let mut pause = Duration::from_millis(50);
    while let Some(mut part) = parts.pop() {
        match run(part.iter().map(|(input, _)| input.clone()).collect()).await {
            Ok(answers) => {
                reply(part, answers);
                pause = Duration::from_millis(50);
            }
            Err(error) => {
                warn!(error = chain(&error), waiting = part.len(), what, "the ledger failed; trying again");
                if error.is_transient() {
                    parts.push(part);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(MAX_RETRY_DELAY);
                } else if part.len() > 1 {
                    let tail = part.split_off(part.len() / 2);
                    parts.push(tail);
                    parts.push(part);
                } else {
                    tokio::spawn(retry_single(what, part, run.clone()));
                }
            }
        }
    }
}

/// The longest wait before a batch is tried again.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(2);

/// What the ledger refuses may be a fault of the moment that does not look like one: a schema that is being changed.
async fn retry_single<I, O, F, Fut, E>(what: &'static str, one: Vec<Request<I, O>>, run: Arc<F>)
where
    I: Clone,
    F: Fn(Vec<I>) -> Fut,
    Fut: Future<Output = Result<Vec<O>, E>>,
    E: BatchError,
{
    while one.iter().any(|(_, reply)| !reply.is_closed()) {
        tokio::time::sleep(MAX_RETRY_DELAY).await;
        match run(one.iter().map(|(input, _)| input.clone()).collect()).await {
            Ok(answers) => return reply(one, answers),
            Err(error) => warn!(error = chain(&error), what, "the ledger refuses this one"),
        }
    }
}

fn reply<I, O>(batch: Vec<Request<I, O>>, answers: Vec<O>) {
    for ((_, reply), answer) in batch.into_iter().zip(answers) {
        // Who asked may be gone.
        let _ = reply.send(answer);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    enum Refusal {
        #[error("the database is away")]
        Away,
        #[error("seven is out of range")]
        OutOfRange,
    }

    impl BatchError for Refusal {
        fn is_transient(&self) -> bool {
            matches!(self, Self::Away)
        }
    }

    #[tokio::test]
    async fn one_that_is_refused_holds_up_nobody() {
        let batcher = Batcher::new("test", 16, |inputs: Vec<u32>| async move {
            match inputs.contains(&7) {
                true => Err(Refusal::OutOfRange),
                false => Ok(inputs.iter().map(|input| input * 2).collect()),
            }
        });
        let refused = tokio::spawn({
            let batcher = batcher.clone();
            async move { batcher.submit(7).await }
        });
        for _ in 0..3 {
            let answers = futures::future::join_all((0..7).chain(8..40).map(|input| batcher.submit(input))).await;
            assert_eq!(answers, (0..7).chain(8..40).map(|input| input * 2).collect::<Vec<_>>());
        }
        assert!(!refused.is_finished());
    }

    #[tokio::test]
    async fn a_batch_that_failed_for_the_moment_is_run_again_whole() {
        let (runs, mut seen) = mpsc::unbounded_channel();
        let away = std::sync::atomic::AtomicBool::new(true);
        let batcher = Batcher::new("test", 16, move |inputs: Vec<u32>| {
            let answer = match away.swap(false, std::sync::atomic::Ordering::Relaxed) {
                true => Err(Refusal::Away),
                false => Ok(inputs.clone()),
            };
            runs.send(inputs).unwrap();
            async move { answer }
        });
        let answers = futures::future::join_all([3, 4, 5].map(|input| batcher.submit(input))).await;
        assert_eq!(answers, [3, 4, 5]);
        let first = seen.recv().await.unwrap();
        assert_eq!(seen.recv().await.unwrap(), first, "not halved");
    }
}
