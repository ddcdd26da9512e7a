//! For the tests of every crate: engines once a test binary, and per call a database, a Redis namespace and a store of
//! one's own.

pub mod smtp;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use object_store::ObjectStore;
use secrecy::ExposeSecret;
use sqlx::{Connection, PgConnection, PgPool};
use tokio::sync::OnceCell;

use crate::config::{DatabaseConfig, RedisConfig, StoreConfig};
use crate::engines::Engines;
use crate::{database, store};

pub use gristmill_engines::Clock;

/// What a test needs, its own.
pub struct Stack {
    /// A pool on `database_url`.
    pub pool: PgPool,
    /// A fresh, migrated database.
    pub database_url: String,
    /// The Redis that all tests of the binary share.
    pub redis_url: String,
    /// A prefix of Redis keys that no other test uses.
    pub namespace: String,
    /// An empty object store.
    pub store: Arc<dyn ObjectStore>,
    /// The same as a URL.
    pub store_url: String,
    /// An empty folder, removed with the stack; the store is in it.
    pub dir: PathBuf,
    _folder: tempfile::TempDir,
}

impl Stack {
    /// The settings to reach the database.
    pub fn database(&self) -> DatabaseConfig {
        DatabaseConfig { database_url: Some(self.database_url.as_str().into()), ..DatabaseConfig::default() }
    }

    /// The settings to reach Redis.
    pub fn redis(&self) -> RedisConfig {
        RedisConfig {
            redis_url: Some(self.redis_url.as_str().into()),
            redis_namespace: self.namespace.clone(),
            ..RedisConfig::default()
        }
    }

    /// A connection to Redis.
    pub async fn redis_connection(&self) -> redis::aio::MultiplexedConnection {
        redis_connection(&self.redis_url).await
    }

    /// The settings to reach the store.
    pub fn store_config(&self) -> StoreConfig {
        StoreConfig { store_url: Some(self.store_url.clone()), store_fsync: false, ..StoreConfig::default() }
    }
}

/// A connection to a Redis that is patient on a busy machine: by itself the library waits for half a second.
pub async fn redis_connection(url: &str) -> redis::aio::MultiplexedConnection {
    let patience = Some(Duration::from_secs(30));
    let config = redis::AsyncConnectionConfig::new().set_connection_timeout(patience).set_response_timeout(patience);
    let client = redis::Client::open(url).expect("the address of a Redis");
    client.get_multiplexed_async_connection_with_config(&config).await.expect("Redis is reached")
}

/// A stack on the engines that all tests of this binary share.
pub async fn stack() -> Stack {
    database_of(shared().await, TEMPLATE).await
}

/// The same with a database that nothing was made in.
pub async fn empty_stack() -> Stack {
    database_of(shared().await, "template0").await
}

async fn shared() -> &'static Engines {
    static SHARED: OnceCell<Engines> = OnceCell::const_new();
    SHARED
        .get_or_init(|| async {
            let engines = engines().await;
            template(&engines).await;
            engines
        })
        .await
}

/// A stack on engines of one's own (see [`engines`]), which the test may kill.
pub async fn stack_on(engines: &Engines) -> Stack {
    template(engines).await;
    database_of(engines, TEMPLATE).await
}

/// Engines of one's own, in a temporary folder. They stop when dropped.
pub async fn engines() -> Engines {
    Engines::temporary().await.expect("private engines start")
}

const TEMPLATE: &str = "gristmill_template";

async fn template(engines: &Engines) {
    let mut admin = admin(engines).await;
    let known = sqlx::query("select 1 from pg_database where datname = $1").bind(TEMPLATE);
    if known.fetch_optional(&mut admin).await.expect("Postgres answers").is_none() {
        let create = &format!("create database {TEMPLATE}");
        sqlx::query(create).execute(&mut admin).await.expect("the template is created");
        let url = engines.database_url_of(TEMPLATE);
        let pool = PgPool::connect(url.expose_secret()).await.expect("the template accepts connections");
        database::migrate(&pool).await.expect("the migrations run");
        drop_views(&pool).await;
        pool.close().await;
    }
    admin.close().await.expect("the connection closes");
}

/// What is there of the queue for processes of the release before would hide that a statement of this one has forgotten the schema.
async fn drop_views(pool: &PgPool) {
    let views: Vec<String> = sqlx::query_scalar(
        "select viewname::text from pg_views where schemaname = 'public' and definition ilike '%from gristmill.%'",
    )
    .fetch_all(pool)
    .await
    .expect("Postgres knows its views");
    for view in views {
        sqlx::query(&format!("drop view public.\"{view}\"")).execute(pool).await.expect("the view goes");
    }
}

async fn database_of(engines: &Engines, template: &str) -> Stack {
    let name: String = uuid::Uuid::new_v4().simple().to_string();
    let mut admin = admin(engines).await;
    let create = &format!("create database \"t{name}\" template {template}");
    sqlx::query(create).execute(&mut admin).await.expect("a database is created from the template");
    admin.close().await.expect("the connection closes");

    let database_url = engines.database_url_of(&format!("t{name}")).expose_secret().to_owned();
    let options = sqlx::postgres::PgPoolOptions::new()
        .max_connections(16)
        .acquire_timeout(Duration::from_secs(10))
        // As every pool of the product does.
        .after_connect(|connection, _| {
            Box::pin(async {
                gristmill_queue::tune_connection(&mut *connection).await?;
                database::leave_own_schema(connection).await
            })
        });
    let pool = options.connect(&database_url).await.expect("the database accepts connections");
    // among the engines' data, which go even when the test process is killed
    let folder = tempfile::Builder::new().prefix("stack-").tempdir_in(engines.data_dir()).expect("a temporary folder");
    let dir = folder.path().to_path_buf();
    let store_url = url::Url::from_directory_path(dir.join("objects")).expect("the path is absolute").to_string();
    let config = StoreConfig { store_url: Some(store_url.clone()), store_fsync: false, ..StoreConfig::default() };
    Stack {
        pool,
        database_url,
        redis_url: engines.redis_url().expose_secret().to_owned(),
        namespace: format!("t{}", &name[..12]),
        store: store::open(&config).expect("the store opens"),
        store_url,
        dir,
        _folder: folder,
    }
}

async fn admin(engines: &Engines) -> PgConnection {
    let url = engines.database_url();
    PgConnection::connect(url.expose_secret()).await.expect("Postgres answers")
}
