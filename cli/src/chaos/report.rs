//! What is told in the end, as Markdown.

use std::{collections::BTreeMap, fmt, time::Duration};

use super::{check::Finding, plan::Fault, recovery::Recovery};

pub(super) struct Report {
    pub(super) seed: u64,
    pub(super) length: Duration,
    pub(super) workers: usize,
    pub(super) quiet: Result<Duration, String>,
    pub(super) recoveries: Vec<Recovery>,
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

        let mut by_fault: BTreeMap<Fault, Vec<&Recovery>> = BTreeMap::new();
        for recovery in &self.recoveries {
            by_fault.entry(recovery.fault).or_default().push(recovery);
        }
        writeln!(f, "| fault | times | went on after: p50 | p99 | max | alone | max |\n|---|---|---|---|---|---|---|")?;
        for (fault, recoveries) in &by_fault {
            self.row(f, &fault.to_string(), recoveries)?;
        }
        self.row(f, "**all**", &self.recoveries.iter().collect::<Vec<_>>())?;
        writeln!(
            f,
            "\nMost faults overlap: their times include what came meanwhile. Those that came alone are counted once more."
        )?;

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

impl Report {
    fn row(&self, f: &mut fmt::Formatter<'_>, name: &str, recoveries: &[&Recovery]) -> fmt::Result {
        let all = times(recoveries.iter().copied());
        let alone = times(recoveries.iter().copied().filter(|recovery| recovery.alone(&self.recoveries)));
        let (n, single) = (recoveries.len(), alone.len());
        let (p50, p99, max) = (rank(&all, 0.5), rank(&all, 0.99), rank(&all, 1.0));
        writeln!(f, "| {name} | {n} | {p50} | {p99} | {max} | {single} | {} |", rank(&alone, 1.0))
    }
}

fn times<'a>(recoveries: impl Iterator<Item = &'a Recovery>) -> Vec<f64> {
    let mut times: Vec<f64> = recoveries.filter_map(|recovery| recovery.took).collect();
    times.sort_by(f64::total_cmp);
    times
}

fn rank(times: &[f64], share: f64) -> String {
    let rank = (share * times.len() as f64).ceil() as usize;
    times.get(rank.max(1) - 1).map_or("–".to_owned(), |seconds| format!("{seconds:.2} s"))
}
