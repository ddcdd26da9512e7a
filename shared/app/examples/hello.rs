//! `DATABASE_URL=… REDIS_URL=… cargo run -p gristmill --example hello`: says hello once, and runs until Ctrl-C.

use gristmill::prelude::*;

#[derive(Serialize, Deserialize, Job)]
struct Hello {
    name: String,
}

async fn hello(job: Hello) {
    println!("hello {}", job.name);
}

#[tokio::main]
pub(crate) async fn main() -> gristmill::Result {
    let app = App::from_env().job(hello).start().await?;
    app.enqueue(Hello { name: "world".into() }).await?;
    app.stopped().await
}
