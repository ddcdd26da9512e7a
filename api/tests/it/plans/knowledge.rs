//! What the planner has been told.

use super::filled::{KNOWN, TABLES};
use crate::support::Api;

/// What the planner's statistics are of.
#[derive(Debug, Clone, Copy)]
pub(super) enum Knowledge {
    /// The tables were analyzed while the large client was alone in them: of the small one it expects a row.
    OfTheLargeOne,
    /// Those of files and runs were analyzed, those of rows never.
    OfFiles,
    /// No table was ever analyzed.
    None,
}

impl Knowledge {
    /// All of them. Each later one takes something away, so they are to be set in this order.
    pub(super) const ALL: [Self; 3] = [Self::OfTheLargeOne, Self::OfFiles, Self::None];

    /// Makes it so, for tables that [`super::filled::fill`] has filled.
    pub(super) async fn set(self, api: &Api) {
        for table in KNOWN {
            sqlx::query(&format!("analyze {table}")).execute(&api.stack.pool).await.unwrap();
        }
        match self {
            Self::OfTheLargeOne => {}
            Self::OfFiles => forget(api, TABLES).await,
            Self::None => {
                forget(api, TABLES).await;
                forget(api, KNOWN).await;
            }
        }
    }
}

async fn forget(api: &Api, tables: &[&str]) {
    let sql = "delete from pg_statistic where starelid = any($1::text[]::regclass[]::oid[])";
    sqlx::query(sql).bind(tables).execute(&api.stack.pool).await.unwrap();
    let sql = "update pg_class set reltuples = -1, relpages = 0 where oid = any($1::text[]::regclass[]::oid[])";
    sqlx::query(sql).bind(tables).execute(&api.stack.pool).await.unwrap();
}
