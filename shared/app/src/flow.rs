//! A flow that is about to be enqueued.

use std::{fmt, future::IntoFuture};

use futures::future::BoxFuture;
use gristmill_queue::{Enqueued, EnqueuedFlow, Flow, GroupId, JobId};

use crate::{Client, EnqueueIn, Error};

/// What [`Client::enqueue_flow`] gives: await it.
#[must_use = "it is enqueued when it is awaited"]
pub struct EnqueueFlow<'a> {
    client: Client,
    flow: Flow,
    within: Option<&'a mut dyn EnqueueIn>,
}

impl<'a> EnqueueFlow<'a> {
    pub(crate) fn new(client: Client, flow: Flow) -> Self {
        Self { client, flow, within: None }
    }

    /// In the caller's transaction, as [`Enqueue::in_`](crate::Enqueue::in_).
    pub fn in_(mut self, tx: &'a mut dyn EnqueueIn) -> Self {
        self.within = Some(tx);
        self
    }

    async fn enqueue(self) -> Result<FlowHandle, Error> {
        let Self { client, flow, within } = self;
        let queue = client.engines("a flow")?.clone();
        match within {
            Some(tx) => {
                let mut flow = queue.enqueue_flow(tx.connection(), &flow).await?;
                let unpushed = tx.keep(flow.take_enqueued());
                Ok(FlowHandle { client, flow, unpushed })
            }
            None => {
                let mut tx = queue.pool().begin().await?;
                let mut flow = queue.enqueue_flow(&mut tx, &flow).await?;
                tx.commit().await?;
                queue.push(flow.take_enqueued()).await;
                Ok(FlowHandle { client, flow, unpushed: None })
            }
        }
    }
}

impl<'a> IntoFuture for EnqueueFlow<'a> {
    type Output = Result<FlowHandle, Error>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(self.enqueue())
    }
}

impl fmt::Debug for EnqueueFlow<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnqueueFlow").field("flow", &self.flow).finish_non_exhaustive()
    }
}

/// A flow that was enqueued.
#[derive(Debug)]
pub struct FlowHandle {
    client: Client,
    flow: EnqueuedFlow,
    unpushed: Option<Enqueued>,
}

impl FlowHandle {
    /// The group that it is.
    #[must_use]
    pub fn id(&self) -> GroupId {
        self.flow.id()
    }

    /// The groups that its stages are, in their order.
    #[must_use]
    pub fn stages(&self) -> &[GroupId] {
        self.flow.stages()
    }

    /// All its jobs, stage after stage, in their order.
    #[must_use]
    pub fn jobs(&self) -> &[JobId] {
        self.flow.jobs()
    }

    /// Hands what waits for nothing to the broker, after the commit of a transaction that does not do so itself.
    pub async fn push(&mut self) {
        if let (Some(enqueued), Ok(queue)) = (self.unpushed.take(), self.client.queue()) {
            queue.push(enqueued).await;
        }
    }
}
