//! A shop with a queue, and the queue's dashboard at `/admin/jobs` of the shop's own server, with a page of the shop's.
//! `cargo run -p gristmill-board --example embedded`, then open <http://127.0.0.1:3000/admin/jobs>.

use std::net::SocketAddr;

use axum::{
    Router,
    routing::{get, post},
};
use futures::future::BoxFuture;
use gristmill_board::{
    Attention, Board, BoardError, Cards, Entry, Error, Loopback, Page, PageBody, Visit,
    actions::{Answer, NotDone, Params, done},
};
use gristmill_platform::testing;
use gristmill_queue::{Context, Job, JobError, Options, Queue, QueueConfig, Schema, Worker};
use serde::{Deserialize, Serialize};
use tokio_util::sync::CancellationToken;

#[derive(Serialize, Deserialize)]
pub(crate) struct Ship {
    pub(crate) order: u64,
}

impl Job for Ship {
    const NAME: &'static str = "orders.ship";
    const QUEUE: &'static str = "shipping";
}

pub(crate) async fn ship(_: Context, job: Ship) -> Result<(), JobError> {
    match job.order {
        // Something for the page of dead letters.
        13 => Err(JobError::discard("no carrier goes there")),
        _ => Ok(()),
    }
}

/// The shop's own section: `/admin/jobs/orders`, `/admin/jobs/orders/7`, and a button.
struct Orders {
    queue: Queue,
}

impl Page for Orders {
    fn entry(&self) -> Option<Entry> {
        Some(Entry::new("orders", "Orders").under("Shop").with_key('r'))
    }

    fn show<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<Option<PageBody>, Error>> {
        let base = &visit.base;
        let page = match visit.rest()[..] {
            [] => {
                let links: String =
                    [7, 13].iter().map(|n| format!("<li><a href=\"{base}/orders/{n}\">Order {n}</a></li>")).collect();
                Some(PageBody::html("Orders", format!("<h1>Orders</h1><ul>{links}</ul>")))
            }
            [id] => id.parse::<u64>().ok().map(|id| {
                let button = if visit.may_act {
                    format!(
                        r#"<button type="button" hx-post="{base}/act/orders/{id}/ship" hx-swap="none">Ship</button>"#
                    )
                } else {
                    String::new()
                };
                let html = format!(r#"<h1>Order {id}</h1><p class="actions">{button}</p>"#);
                PageBody::html(format!("Order {id}"), html)
            }),
            _ => None,
        };
        Box::pin(async move { Ok(page) })
    }

    fn actions(&self) -> Router {
        let queue = self.queue.clone();
        Router::new().route("/orders/{id}/ship", post(move |Params(id): Params<u64>| ship_again(queue, id)))
    }

    fn attention(&self) -> BoxFuture<'_, Result<Vec<Attention>, Error>> {
        Box::pin(async { Ok(vec![Attention::new("1 order waits for stock", "/orders/7")]) })
    }

    fn cards<'a>(&'a self, visit: &'a Visit) -> BoxFuture<'a, Result<Cards, Error>> {
        let tile = format!(
            r#"<article class="tile"><h2>Orders</h2><p class="figure"><a href="{}/orders">2</a></p></article>"#,
            visit.base
        );
        Box::pin(async move { Ok(Cards::default().with_tile(tile)) })
    }
}

async fn ship_again(queue: Queue, order: u64) -> Answer {
    if order == 0 {
        return Err(NotDone::Refused("Order 0 is a test".to_owned()));
    }
    let mut tx = queue.pool().begin().await?;
    let enqueued = queue.enqueue(&mut tx, &Ship { order }, &Options::default()).await?;
    tx.commit().await?;
    queue.push(enqueued).await;
    done(format!("Order {order} is on its way"))
}

/// The shop's server: its own page, and the board.
pub(crate) fn routes(queue: Queue) -> Result<Router, BoardError> {
    let board = Board::new(queue.clone())
        .base("/admin/jobs")
        .named("Shop")
        .access(Loopback::named("shopkeeper"))
        .page(Orders { queue });
    Ok(Router::new().route("/", get(|| async { "the shop" })).merge(board.router()?))
}

#[tokio::main]
pub(crate) async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let (queue, _engines) = queue().await?;
    let worker = Worker::builder(&queue).queue(Ship::QUEUE, 4).register(ship).build();
    tokio::spawn(async move { worker.run(CancellationToken::new()).await });
    for order in [7, 13] {
        let mut tx = queue.pool().begin().await?;
        let enqueued = queue.enqueue(&mut tx, &Ship { order }, &Options::default()).await?;
        tx.commit().await?;
        queue.push(enqueued).await;
    }
    let listener = tokio::net::TcpListener::bind("127.0.0.1:3000").await?;
    println!("http://{}/admin/jobs", listener.local_addr()?);
    let routes = routes(queue)?.into_make_service_with_connect_info::<SocketAddr>();
    Ok(axum::serve(listener, routes).await?)
}

/// On DATABASE_URL and REDIS_URL, or on private engines, which end with it.
#[expect(clippy::disallowed_methods, reason = "an example has no other configuration")]
async fn queue() -> Result<(Queue, Option<testing::Stack>), Box<dyn std::error::Error>> {
    if let (Ok(database), Ok(redis)) = (std::env::var("DATABASE_URL"), std::env::var("REDIS_URL")) {
        let pool = sqlx::PgPool::connect(&database).await?;
        gristmill_queue::migrate(&pool, Schema::default()).await?;
        return Ok((Queue::connect(pool, QueueConfig::new(redis)).await?, None));
    }
    let stack = testing::empty_stack().await;
    gristmill_queue::migrate(&stack.pool, Schema::default()).await?;
    let config = QueueConfig { namespace: stack.namespace.clone(), ..QueueConfig::new(&stack.redis_url) };
    Ok((Queue::connect(stack.pool.clone(), config).await?, Some(stack)))
}
