//! Natural batching: one statement for all requests that are waiting; the next ones gather meanwhile.

use std::{future::Future, time::Duration};

use tokio::sync::{mpsc, oneshot};
use tracing::warn;

use crate::QueueError;

/// Requests to one batching task. The task ends with its last handle.
pub struct Batcher<I, O> {
    requests: mpsc::UnboundedSender<(I, oneshot::Sender<O>)>,
}

impl<I, O> Clone for Batcher<I, O> {
    fn clone(&self) -> Self {
        Self { requests: self.requests.clone() }
    }
}

impl<I: Clone + Send + Sync + 'static, O: Send + 'static> Batcher<I, O> {
    /// `run` answers a batch of at most `limit` in its order. It is called again until it succeeds; `what` names it in the
    /// log. Needs a runtime.
    pub fn new<F, Fut>(what: &'static str, limit: usize, run: F) -> Self
    where
        F: Fn(Vec<I>) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Vec<O>, QueueError>> + Send,
    {
        let (requests, mut waiting) = mpsc::unbounded_channel::<(I, oneshot::Sender<O>)>();
        tokio::spawn(async move {
            let mut batch = Vec::new();
            while waiting.recv_many(&mut batch, limit).await > 0 {
                let (inputs, replies): (Vec<I>, Vec<_>) = batch.drain(..).unzip();
                for (reply, answer) in replies.into_iter().zip(insist(what, inputs, &run).await) {
                    let _ = reply.send(answer);
                }
            }
        });
        Self { requests }
    }

    /// Waits for the answer, however long the ledger is away.
    pub async fn ask(&self, input: I) -> O {
        let (reply, answer) = oneshot::channel();
        // The task lives as long as this handle, and answers everything it took.
        let _ = self.requests.send((input, reply));
        match answer.await {
            Ok(answer) => answer,
            Err(_) => std::future::pending().await,
        }
    }
}

/// Runs a batch until it succeeds. One input that the ledger refuses does not hold up the others: the batch is halved.
async fn insist<I, O, F, Fut>(what: &'static str, inputs: Vec<I>, run: &F) -> Vec<O>
where
    I: Clone + Send,
    F: Fn(Vec<I>) -> Fut + Sync,
    Fut: Future<Output = Result<Vec<O>, QueueError>>,
{
    let mut parts = vec![inputs];
    let mut answers = Vec::new();
    let mut pause = Duration::from_millis(50);
    while let Some(part) = parts.pop() {
        match run(part.clone()).await {
            Ok(answered) => {
                answers.extend(answered);
                pause = Duration::from_millis(50);
            }
            Err(error) => {
                warn!(error = crate::job::chain(&error), waiting = part.len(), what, "the ledger failed; trying again");
                if part.len() > 1 && !is_transient(&error) {
                    let (head, tail) = part.split_at(part.len() / 2);
                    parts.push(tail.to_vec());
                    parts.push(head.to_vec());
                } else {
                    parts.push(part);
                    tokio::time::sleep(pause).await;
                    pause = (pause * 2).min(Duration::from_secs(2));
                }
            }
        }
    }
    answers
}

/// Whether the same statement may succeed later.
fn is_transient(error: &QueueError) -> bool {
    match error {
        QueueError::Ledger(sqlx::Error::Database(error)) => error
            .code()
            .is_none_or(|code| ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))),
        _ => true,
    }
}
