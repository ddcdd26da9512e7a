//! What is told in the end, as Markdown.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{check::Finding, plan::Fault};

pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) length: Duration,
    pub(super) workers: usize,
    pub(super) quiet: Result<Duration, String>,
    pub(super) recoveries: Vec<(Fault, Option<f64>)>,
    pub(super) findings: Vec<Finding>,
}

impl Report {
    pub(super) fn passed(&self) -> bool {
        self.quiet.is_ok() && self.findings.iter().all(|finding| finding.wrong.is_empty())
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, workers, faults) = (self.length.as_secs(), self.workers, self.recoveries.len());
        writeln!(
            f,
            "`gristmill chaos --seconds {seconds} --seed {} --workers {workers}`: {faults} faults.\n",
            self.seed
        )?;
        match &self.quiet {
            Ok(took) => writeln!(
                f,
                "Everything that was asked for was done {:.1} s after the last of them.\n",
                took.as_secs_f64()
            )?,
            Err(error) => writeln!(f, "**It did not become quiet: {error}.**\n")?,
        }

        let mut by_fault: BTreeMap<Fault, Vec<Option<f64>>> = BTreeMap::new();
        for (fault, took) in &self.recoveries {
            by_fault.entry(*fault).or_default().push(*took);
        }
        writeln!(f, "| fault | times | went on after: p50 | p99 | max |\n|---|---|---|---|---|")?;
        for (fault, took) in &by_fault {
            row(f, &fault.to_string(), took)?;
        }
        row(f, "**all**", &self.recoveries.iter().map(|(_, took)| *took).collect::<Vec<_>>())?;

        writeln!(f, "\n| promise | of | kept |\n|---|---|---|")?;
        for Finding { promise, counted, wrong } in &self.findings {
            let kept = if wrong.is_empty() { "yes".into() } else { format!("**no: {}**", wrong.len()) };
            writeln!(f, "| {promise} | {counted} | {kept} |")?;
        }
        for Finding { promise, wrong, .. } in self.findings.iter().filter(|finding| !finding.wrong.is_empty()) {
            writeln!(f, "\nNot kept: {promise}.\n")?;
            wrong.iter().try_for_each(|wrong| writeln!(f, "- {wrong}"))?;
        }
        let verdict = if self.passed() { "passed" } else { "**failed**" };
        writeln!(f, "\nVerdict: {verdict}.")
    }
}

fn row(f: &mut fmt::Formatter<'_>, name: &str, took: &[Option<f64>]) -> fmt::Result {
    let mut known: Vec<f64> = took.iter().copied().flatten().collect();
    known.sort_by(f64::total_cmp);
    let rank = |share: f64| {
        let rank = (share * known.len() as f64).ceil() as usize;
        known.get(rank.max(1) - 1).map_or("–".to_owned(), |seconds| format!("{seconds:.2} s"))
    };
    writeln!(f, "| {name} | {} | {} | {} | {} |", took.len(), rank(0.5), rank(0.99), rank(1.0))
}
