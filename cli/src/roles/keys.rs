use anyhow::Context as _;
use clap::{Args, Subcommand};
use gristmill_platform::config::DatabaseConfig;
use gristmill_platform::keys::MakeError;
use gristmill_platform::{database, keys};
use secrecy::ExposeSecret;
use sqlx::PgPool;

use super::local_stack::LocalStackArgs;
use crate::{client::table, report::Advice, say::plain_line};

/// Create, list and revoke API keys
#[derive(Args, Debug)]
pub(crate) struct Keys {
    #[command(subcommand)]
    what: KeysCommand,
    /// For machines
    #[arg(long, global = true)]
    json: bool,
    #[command(flatten)]
    running: LocalStackArgs,
    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Subcommand, Debug)]
enum KeysCommand {
    /// Create a key, and the client if none has this name; the key is shown only once
    Create {
        /// The client that owns the key
        #[arg(long, value_name = "NAME")]
        client: String,
        /// An operator's key: it sees and controls the jobs of every client, and the queues
        #[arg(long, conflicts_with = "viewer")]
        operator: bool,
        /// A viewer's key: it sees the dashboard and controls nothing; the API refuses it
        #[arg(long)]
        viewer: bool,
    },
    /// List the keys, newest first
    List,
    /// Revoke a key
    Revoke {
        /// The key's id or its prefix, as `list` shows them
        key: String,
    },
}

impl Keys {
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        self.running.complete(&mut self.database, None, None);
        let pool = database::connect(&self.database).await?;
        let done = match &self.what {
            KeysCommand::Create { client, operator, viewer } => {
                create(&pool, client, *operator, *viewer, self.json).await
            }
            KeysCommand::List => list(&pool, self.json).await,
            KeysCommand::Revoke { key } => revoke(&pool, key).await,
        };
        pool.close().await;
        done
    }
}

const UNREADY: &str = "the keys cannot be used: is the schema up to date (`gristmill migrate`)?";

async fn create(pool: &PgPool, client: &str, operator: bool, viewer: bool, json: bool) -> anyhow::Result<()> {
    let made = match (operator, viewer) {
        (true, _) => keys::create_operator(pool, client).await,
        (_, true) => keys::create_viewer(pool, client).await,
        _ => keys::create(pool, client).await,
    };
    let key = match made {
        Err(error @ MakeError::Name(_)) => {
            return Err(Advice::new(error.to_string(), "give the client another name").into());
        }
        made => made.context(UNREADY)?,
    };
    let secret = key.secret.expose_secret();
    if json {
        println!(
            "{}",
            serde_json::json!({ "id": key.id, "client": key.client.name, "operator": operator, "viewer": viewer, "key": secret })
        );
        return Ok(());
    }
    // the key alone on standard output, so that a script can take it
    let whose = match (operator, viewer) {
        (true, _) => "An operator's key of",
        (_, true) => "A key for looking, of",
        _ => "A key for",
    };
    eprintln!("{whose} the client `{}`; it is not shown again:", plain_line(&key.client.name));
    println!("{secret}");
    Ok(())
}

async fn list(pool: &PgPool, json: bool) -> anyhow::Result<()> {
    let keys = keys::list(pool).await.context(UNREADY)?;
    if json {
        println!("{}", serde_json::to_string(&keys)?);
        return Ok(());
    }
    const HEAD: [&str; 6] = ["PREFIX", "CLIENT", "ROLE", "CREATED (UTC)", "REVOKED (UTC)", "ID"];
    let rows = keys.into_iter().map(|key| {
        let (role, revoked) = (key.role().to_owned(), key.revoked_at.unwrap_or_else(|| "-".to_owned()));
        [key.prefix, key.client, role, key.created_at, revoked, key.id.to_string()]
    });
    print!("{}", table(HEAD, [false; 6], &rows.collect::<Vec<_>>()));
    Ok(())
}

async fn revoke(pool: &PgPool, key: &str) -> anyhow::Result<()> {
    if keys::revoke(pool, key).await.context(UNREADY)? == 0 {
        return Err(Advice::new(format!("no working key is called `{key}`"), "see `gristmill keys list`").into());
    }
    println!("revoked");
    Ok(())
}
