//! What some work costs: processor time by part, WAL, pages of the buffer cache.

use std::{collections::BTreeMap, time::Duration};

use crate::{
    figures,
    process::{self, Role},
    stack::Stack,
};

/// Until a backend that does nothing has reported what it has read; its counters are of no use before.
const REPORTED_AFTER: Duration = Duration::from_secs(11);

/// Counters of the cluster, and of the database that the stack uses.
#[derive(Debug, Clone, Copy, Default, sqlx::FromRow)]
struct Counters {
    wal: f64,
    full_pages: f64,
    table_hits: f64,
    index_hits: f64,
    reads: f64,
}

impl Counters {
    async fn read(stack: &Stack) -> anyhow::Result<Self> {
        let sql = "select
                (select pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')::float8) as wal,
                (select wal_fpi::float8 from pg_stat_wal) as full_pages,
                coalesce(sum(heap_blks_hit + coalesce(toast_blks_hit, 0)), 0)::float8 as table_hits,
                coalesce(sum(idx_blks_hit), 0)::float8 as index_hits,
                coalesce(sum(heap_blks_read + coalesce(idx_blks_read, 0)), 0)::float8 as reads
            from pg_statio_user_tables";
        Ok(sqlx::query_as(sql).fetch_one(&stack.pool).await?)
    }
}

/// What some rows cost.
#[derive(Debug, Clone, Default)]
pub(crate) struct Costs {
    rows: f64,
    cpu: BTreeMap<Role, f64>,
    psql: f64,
    counted: Counters,
}

impl Costs {
    /// Does the work and counts; the time in which counters settle is not the work's.
    pub(crate) async fn of<T>(stack: &Stack, rows: u64, work: impl Future<Output = T>) -> anyhow::Result<(T, Self)> {
        tokio::time::sleep(REPORTED_AFTER).await;
        let (before, psql) = (Counters::read(stack).await?, process::of_children());
        let (done, _, cpu) = process::watch(&stack.roots, work).await;
        let psql = process::of_children() - psql;
        let wal = Counters::read(stack).await?.wal - before.wal;
        tokio::time::sleep(REPORTED_AFTER).await;
        let after = Counters::read(stack).await?;
        let counted = Counters {
            wal,
            full_pages: after.full_pages - before.full_pages,
            table_hits: after.table_hits - before.table_hits,
            index_hits: after.index_hits - before.index_hits,
            reads: after.reads - before.reads,
        };
        Ok((done, Self { rows: rows as f64, cpu, psql, counted }))
    }

    fn figures(&self) -> Vec<String> {
        let a_million = |seconds: f64| format!("{:.2} s", seconds / self.rows * 1e6);
        let a_row = |count: f64| format!("{:.2}", count / self.rows);
        let roles = Role::ALL.map(|role| a_million(self.cpu.get(&role).copied().unwrap_or_default()));
        let all = self.cpu.values().sum::<f64>() + self.psql;
        let mut figures = roles.to_vec();
        figures.push(a_million(self.psql));
        figures.push(format!("**{}**", a_million(all)));
        figures.push(format!("{:.0}", self.counted.wal / self.rows));
        figures.push(figures::thousands(self.counted.full_pages));
        figures.extend([self.counted.table_hits, self.counted.index_hits, self.counted.reads].map(a_row));
        figures
    }
}

/// A table of costs beside each other: its head and its rows.
pub(crate) fn beside(costs: &[(String, Costs)]) -> (Vec<String>, Vec<Vec<String>>) {
    let mut head = vec![String::new()];
    head.extend(costs.iter().map(|(name, _)| name.clone()));
    let cpu = |name: &str| format!("processor, per million rows: {name}");
    let mut names: Vec<String> = Role::ALL.iter().map(|role| cpu(role.name())).collect();
    names.push(cpu("`psql`"));
    names.push("**all of it**".to_owned());
    let counters =
        ["WAL, bytes a row", "– pages written in full", "buffer hits a row: tables", "– indexes", "buffer reads a row"];
    names.extend(counters.map(str::to_owned));
    let columns: Vec<Vec<String>> = costs.iter().map(|(_, costs)| costs.figures()).collect();
    let row = |(at, name): (usize, String)| {
        let mut row = vec![name];
        row.extend(columns.iter().map(|column| column[at].clone()));
        row
    };
    (head, names.into_iter().enumerate().map(row).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn costs_are_of_a_row_and_of_a_million() {
        let counted = Counters { wal: 4_000.0, full_pages: 1_000.0, table_hits: 30.0, index_hits: 50.0, reads: 1.0 };
        let cpu = BTreeMap::from([(Role::Api, 0.00001), (Role::Worker, 0.00002)]);
        let costs = Costs { rows: 20.0, cpu, psql: 0.00001, counted };
        let (head, rows) = beside(&[("ours".to_owned(), costs)]);
        assert_eq!(head, ["", "ours"]);
        let of = |name: &str| &rows.iter().find(|row| row[0].contains(name)).unwrap()[1];
        assert_eq!(of("workers"), "1.00 s");
        assert_eq!(of("all of it"), "**2.00 s**");
        assert_eq!(of("WAL, bytes"), "200");
        assert_eq!(of("written in full"), "1,000");
        assert_eq!(of("tables"), "1.50");
        assert_eq!(of("buffer reads"), "0.05");
    }
}
