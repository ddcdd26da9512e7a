//! The yardstick Y: `psql \copy` of the CSV into a table with typed columns and the same key.

use std::{
    path::Path,
    process::Command,
    time::{Duration, Instant},
};

use anyhow::ensure;

use crate::stack::Stack;

/// A keyed table that stands in the same database as what it is compared with.
pub(crate) struct Yardstick<'a> {
    stack: &'a Stack,
    name: &'static str,
}

impl<'a> Yardstick<'a> {
    /// Makes the table, empty.
    pub(crate) async fn new(stack: &'a Stack, name: &'static str) -> anyhow::Result<Self> {
        let table = Self { stack, name };
        table.empty().await?;
        Ok(table)
    }

    /// As if nothing had ever been copied into it.
    async fn empty(&self) -> anyhow::Result<()> {
        let name = self.name;
        let statements = [
            format!("drop table if exists {name}"),
            format!(
                "create table {name} (
                    name text not null, government_id text not null, email text not null, amount numeric(14, 2) not null,
                    due_date date not null, debt_id uuid primary key)"
            ),
        ];
        for statement in statements {
            sqlx::raw_sql(&statement).execute(&self.stack.pool).await?;
        }
        Ok(())
    }

    /// Adds the file to what the table holds, and says how long `psql` took.
    pub(crate) async fn copy(&self, file: &Path) -> anyhow::Result<Duration> {
        self.stack.checkpoint().await?;
        let file = file.canonicalize()?;
        let copy = format!("\\copy {} from '{}' with (format csv, header)", self.name, file.display());
        let since = Instant::now();
        let done = Command::new("psql").arg(&self.stack.database_url).args(["-qc", &copy]).status()?;
        let took = since.elapsed();
        ensure!(done.success(), "psql failed");
        Ok(took)
    }

    pub(crate) async fn drop(self) -> anyhow::Result<()> {
        sqlx::raw_sql(&format!("drop table {}", self.name)).execute(&self.stack.pool).await?;
        Ok(())
    }
}

/// Loads the file into an empty table and says how long `psql` took.
pub(crate) async fn run(stack: &Stack, file: &Path) -> anyhow::Result<Duration> {
    let table = Yardstick::new(stack, "yardstick").await?;
    let took = table.copy(file).await?;
    table.drop().await?;
    Ok(took)
}
