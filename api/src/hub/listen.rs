use std::time::Duration;

use futures::StreamExt;
use redis::RedisError;
use tokio_util::sync::CancellationToken;

use super::{Frame, Hub};

const FIRST_PAUSE: Duration = Duration::from_millis(100);
const MAX_PAUSE: Duration = Duration::from_secs(5);

impl Hub {
    /// Keeps the one subscription alive until `stop`. After each interruption the watchers read what they missed.
    pub(crate) async fn listen(self, stop: CancellationToken) {
        let mut pause = FIRST_PAUSE;
        loop {
            let listening = async {
                let ended = self.subscription(&mut pause).await;
                tracing::warn!(error = ended.err().map(tracing::field::display), "no live events; connecting again");
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(MAX_PAUSE);
            };
            if stop.run_until_cancelled(listening).await.is_none() {
                return;
            }
        }
    }

    async fn subscription(&self, pause: &mut Duration) -> Result<(), RedisError> {
        let events = &self.0.events;
        let mut subscription = events.client().get_async_pubsub().await?;
        subscription.subscribe(events.channel()).await?;
        *pause = FIRST_PAUSE;
        // Only now can nothing be missed any more.
        self.tell_gap();
        let mut messages = subscription.into_on_message();
        while let Some(message) = messages.next().await {
            match Frame::heard(std::str::from_utf8(message.get_payload_bytes()).unwrap_or_default()) {
                Some((upload_id, frame)) => self.tell(upload_id, frame),
                None => tracing::warn!("an event that is none"),
            }
        }
        Ok(())
    }
}
