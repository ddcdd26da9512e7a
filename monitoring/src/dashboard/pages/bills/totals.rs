//! What a client's bills come to, added up now and then: a page is rendered again every few seconds, and a million bills are
//! not looked at each time.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use gristmill_billing::{
    bills::Filter,
    totals::{self, Total},
};
use gristmill_core::ClientId;
use jiff::civil::Date;

use super::in_time;
use crate::dashboard::app::App;

/// How long it may take, in milliseconds.
const STATEMENT_TIMEOUT_MS: u32 = 2_500;
/// Sums stand for so many times what they took.
const TIMES: u32 = 20;
/// So many are kept.
const MOST: usize = 64;

/// What was added up lately.
#[derive(Default)]
pub(in crate::dashboard) struct Totals(Mutex<HashMap<String, CachedTotals>>);

struct CachedTotals {
    until: Instant,
    totals: Option<Vec<Total>>,
}

impl Totals {
    /// What the bills come to; none: they are too many.
    pub(super) async fn of(
        &self,
        app: &App,
        client: ClientId,
        filter: &Filter,
        today: Date,
    ) -> Result<Option<Vec<Total>>, sqlx::Error> {
        let key = format!("{client} {today} {filter:?}");
        let begun = Instant::now();
        if let Some(kept) = self.kept().get(&key).filter(|kept| kept.until > begun) {
            return Ok(kept.totals.clone());
        }
        let totals =
            in_time(app, STATEMENT_TIMEOUT_MS, async |conn| totals::of(conn, client, filter, today).await).await?;
        let until = Instant::now() + (begun.elapsed() * TIMES).min(Duration::from_secs(60));
        let mut kept = self.kept();
        if kept.len() >= MOST {
            kept.retain(|_, kept| kept.until > begun);
        }
        if kept.len() < MOST {
            kept.insert(key, CachedTotals { until, totals: totals.clone() });
        }
        Ok(totals)
    }

    fn kept(&self) -> std::sync::MutexGuard<'_, HashMap<String, CachedTotals>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
