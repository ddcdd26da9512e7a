use anyhow::Context as _;
use clap::{Args, Subcommand};
use gristmill_core::human;
use gristmill_platform::config::{DatabaseConfig, LimitsConfig, parse_bytes};
use gristmill_platform::{database, keys};
use gristmill_uploads::client_limits::{self, OwnLimits};

use super::local_stack::LocalStackArgs;
use crate::report::Advice;

/// Show and set one client's limits, where they differ from the server's settings
#[derive(Args, Debug)]
pub(crate) struct Limits {
    #[command(subcommand)]
    what: LimitsCommand,
    #[command(flatten)]
    running: LocalStackArgs,
    #[command(flatten)]
    database: DatabaseConfig,
}

#[derive(Subcommand, Debug)]
enum LimitsCommand {
    /// Show the limits of a client
    Show {
        /// The client
        #[arg(long, value_name = "NAME")]
        client: String,
    },
    /// Set all limits; one that is not given follows the server's setting
    Set {
        /// The client
        #[arg(long, value_name = "NAME")]
        client: String,
        /// Rejects that are kept of one upload; those beyond are counted
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
        max_rejects: Option<i64>,
        /// To how many times its size a compressed body may unpack; 0: to any
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(i64).range(0..))]
        max_ratio: Option<i64>,
        /// Bytes of its files that arrive or are worked on, decompressed, together
        #[arg(long, value_name = "BYTES", value_parser = parse_bytes)]
        max_bytes_under_way: Option<u64>,
    },
}

impl Limits {
    pub(super) async fn run(mut self) -> anyhow::Result<()> {
        self.running.complete(&mut self.database, None, None);
        let pool = database::connect(&self.database).await?;
        let (LimitsCommand::Show { client } | LimitsCommand::Set { client, .. }) = &self.what;
        let id = keys::client_id(&pool, client).await.context("the clients cannot be read")?;
        let id = id.ok_or_else(|| {
            Advice::new(format!("there is no client `{client}`"), "see `gristmill keys list` for their names")
        })?;
        if let LimitsCommand::Set { max_rejects, max_ratio, max_bytes_under_way, .. } = &self.what {
            let max_bytes_under_way = max_bytes_under_way.map(|bytes| i64::try_from(bytes).unwrap_or(i64::MAX));
            let own = OwnLimits { max_rejects: *max_rejects, max_ratio: *max_ratio, max_bytes_under_way };
            client_limits::put(&pool, id, &own).await.context("the limits cannot be set")?;
        }
        let own = client_limits::find(&pool, id).await.context("the limits cannot be read")?;
        let all = own.over(&gristmill_platform::config::read::<LimitsConfig>(std::iter::empty::<String>())?);
        let whose = |own: Option<i64>| if own.is_some() { "its own" } else { "as the setting says here" };
        println!("rejects kept of an upload  {}  ({})", human::count(all.max_rejects), whose(own.max_rejects));
        println!("unpacks to, times its size {}  ({})", human::count(all.max_ratio), whose(own.max_ratio));
        let bytes = human::bytes(all.max_bytes_under_way);
        println!("bytes under way            {bytes}  ({})", whose(own.max_bytes_under_way));
        pool.close().await;
        Ok(())
    }
}
