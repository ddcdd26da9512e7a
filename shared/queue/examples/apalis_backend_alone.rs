//! The Redis backend in an apalis application that has no Postgres and knows nothing of the ledger.
//! `cargo run -p gristmill-queue --example apalis_backend_alone`

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::SeqCst},
};

use apalis_core::{
    backend::TaskSink as _,
    error::BoxDynError,
    task::data::Data,
    worker::{builder::WorkerBuilder, context::WorkerContext, ext::parallelize::ParallelizeExt as _},
};
use gristmill_platform::testing;
use gristmill_queue::redis::{RedisBackend, Settings};
use serde::{Deserialize, Serialize};

#[derive(Debug, Serialize, Deserialize)]
struct Mail {
    to: String,
}

const MAILS: usize = 5;

async fn send(mail: Mail, sent: Data<Arc<AtomicUsize>>, worker: WorkerContext) -> Result<(), BoxDynError> {
    println!("to {}", mail.to);
    if sent.fetch_add(1, SeqCst) + 1 == MAILS {
        worker.stop()?;
    }
    Ok(())
}

#[expect(clippy::disallowed_methods, reason = "an example has no other configuration")]
#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (url, namespace, _engines) = match std::env::var("REDIS_URL") {
        Ok(url) => (url, "example".to_owned(), None),
        Err(_) => {
            let stack = testing::stack().await;
            (stack.redis_url.clone(), stack.namespace.clone(), Some(stack))
        }
    };
    let mut backend = RedisBackend::<Mail>::new(&url, Settings::new(namespace, "mail"))?;
    for n in 0..MAILS {
        backend.push(Mail { to: format!("user-{n}@example.com") }).await.map_err(|error| error.to_string())?;
    }
    let sent = Arc::new(AtomicUsize::new(0));
    let worker = WorkerBuilder::new("mailer").backend(backend).data(sent).parallelize(tokio::spawn).build(send);
    worker.run().await?;
    Ok(())
}
