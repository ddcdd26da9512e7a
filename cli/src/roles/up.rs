//! Everything on one machine: private engines unless URLs are given, the API, the scheduler and the monitor in this
//! process, the workers as children, so that they have processors of their own and may die.

mod engines;
mod file;
mod key;
mod summary;
mod workers;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use gristmill_monitoring::{Server, dashboard::Dashboard};
use gristmill_platform::config::{self, DEFAULT_DATA_DIR, MonitorConfig, TelemetryConfig};
use gristmill_platform::engines::{DirLock, EngineError};
use gristmill_platform::{database, telemetry};
use tokio_util::sync::CancellationToken;

use self::engines::Sources;
use self::workers::Workers;
use super::role;
use crate::report::Advice;
use gristmill_service::shutdown;

/// Run everything on this machine, with a private Postgres and Redis unless DATABASE_URL and REDIS_URL are given
///
/// Every other setting is read from its environment variable, for the workers too: the help of `api`, `worker` and
/// `scheduler` lists them.
#[derive(Args, Debug)]
pub(crate) struct Up {
    /// Where data, keys and logs are kept
    #[arg(long, env = "GRISTMILL_DATA_DIR", default_value = DEFAULT_DATA_DIR, value_name = "DIR")]
    data_dir: PathBuf,

    /// Where the API listens; port 0 takes a free one
    #[arg(long, env = "GRISTMILL_ADDR", default_value = "127.0.0.1:8080", value_name = "ADDR")]
    addr: SocketAddr,

    /// Worker processes; 0 when they are started apart
    #[arg(long, env = "GRISTMILL_WORKERS", default_value_t = 2, value_name = "N")]
    workers: usize,

    /// Delete what an earlier run left in the data folder, and start from nothing
    #[arg(long)]
    fresh: bool,

    /// Stop when standard input ends
    #[arg(long, hide = true)]
    exit_with_parent: bool,
}

impl Up {
    pub(super) async fn run(self) -> anyhow::Result<()> {
        let shutdown = shutdown::on_signal()?;
        if self.exit_with_parent {
            shutdown::with_parent(&shutdown)?;
        }
        // both before the engines start, which takes longer; the folder first, as it says who holds it
        drop(DirLock::of(&self.data_dir).map_err(in_use)?);
        free(self.addr)?;
        let sources = tokio::select! {
            sources = Sources::start(&self.data_dir, self.fresh) => sources?,
            () = shutdown.cancelled() => return Ok(()),
        };
        telemetry::init_to_file(&config::read::<TelemetryConfig>(NO_FLAGS)?, &sources.data_dir.join("gristmill.log"))?;
        let result = self.serve(&sources, &shutdown).await;
        shutdown.cancel();
        let stopped = sources.stop().await;
        result.and(stopped)
    }

    async fn serve(&self, sources: &Sources, shutdown: &CancellationToken) -> anyhow::Result<()> {
        let flags = sources.flags();
        let pool = database::connect(&config::read(sources.database_flags())?).await?;
        database::migrate(&pool).await?;
        let key_file = key::development(&pool, &sources.data_dir).await?;
        pool.close().await;

        let api_flags = flags.iter().cloned().chain(engines::outbound_flags());
        let mut api_config: gristmill_api::Config = config::read(api_flags)?;
        api_config.api.addr = self.addr;
        let mut scheduler_config: gristmill_scheduler::Config = config::read(&flags)?;
        if let Some((_, often)) = engines::for_trying().into_iter().find(|(name, _)| name == engines::BILLING_SCHEDULE)
        {
            scheduler_config.scheduler.billing_schedule = often;
        }
        let health = role::health("up", &scheduler_config.role.database, &scheduler_config.role.redis)?;
        let api = gristmill_api::build(api_config).await?;
        let api_addr = api.addr().context("the API has no address")?;
        let monitor = self.monitor(api_addr).await?;
        let monitor_addr = monitor.addr();

        let drained = CancellationToken::new();
        let dashboard = Dashboard::open(&scheduler_config.role, &config::read(NO_FLAGS)?, health.clone()).await?;
        let link = dashboard.link("up").await?;
        let monitor = tokio::spawn(monitor.serve_beside(dashboard.routes()?, health, drained.clone()));
        let mut api = tokio::spawn(api.serve(shutdown.clone()));
        let mut scheduler = tokio::spawn(gristmill_scheduler::run(scheduler_config, shutdown.clone()));
        let workers = Workers::start(self.workers, sources, shutdown)?;

        let up = file::UpFile::write(sources, api_addr, monitor_addr)?;
        summary::print(self.workers, sources, api_addr, (monitor_addr, &link), &key_file);
        let early = tokio::select! {
            // after a shutdown the others end too: that is not early
            biased;
            () = shutdown.cancelled() => Ok(()),
            result = &mut api => Err(result.err().map_or_else(|| anyhow::anyhow!("the API ended"), Into::into)),
            result = &mut scheduler => Err(match result {
                Ok(Ok(())) => anyhow::anyhow!("the scheduler ended"),
                Ok(Err(error)) => error.context("the scheduler ended"),
                Err(error) => error.into(),
            }),
        };
        up.remove();
        summary::stopping();
        shutdown.cancel();
        // the API first ends what arrives, the workers what they run; neither waits for the other
        let (api, scheduler) = (
            async {
                if !api.is_finished() {
                    drop(api.await)
                }
            },
            async {
                if !scheduler.is_finished() {
                    drop(scheduler.await)
                }
            },
        );
        tokio::join!(api, scheduler, workers.stopped());
        drained.cancel();
        let _ = monitor.await;
        early
    }
}

impl Up {
    /// The dashboard's port: the one that was asked for, else the one after the API's, so that it can be kept as a bookmark;
    /// where that one is taken, or no port was asked for of the API either, any.
    async fn monitor(&self, api: SocketAddr) -> anyhow::Result<Server> {
        let asked = config::read::<MonitorConfig>(NO_FLAGS)?.monitor_addr;
        if asked.port() == 0
            && self.addr.port() != 0
            && let Some(next) = api.port().checked_add(1)
            && let Ok(server) = Server::bind(SocketAddr::new(asked.ip(), next)).await
        {
            return Ok(server);
        }
        Ok(Server::bind(asked).await?)
    }
}

const NO_FLAGS: [&str; 0] = [];

/// Who starts it twice may only want to see it.
fn in_use(error: EngineError) -> anyhow::Error {
    match error {
        EngineError::InUse { .. } => {
            let todo = "`gristmill dashboard` prints a link to it; or stop it, or take another folder with --data-dir";
            Advice::new(error.to_string(), todo).into()
        }
        other => other.into(),
    }
}

fn free(addr: SocketAddr) -> anyhow::Result<()> {
    let todo = "stop what listens there, or choose another address with --addr (port 0 takes a free one)";
    let advice = || Advice::new(format!("cannot listen on {addr}"), todo);
    TcpListener::bind(addr).map(drop).with_context(advice)
}
