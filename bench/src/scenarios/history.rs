//! How cost grows with what is there already: files behind a history of millions of rows, which uploads and `\copy` make of the
//! same files, in turns.

use std::{fs, path::Path, time::Duration};

use anyhow::ensure;

use crate::{
    client,
    costs::{self, Costs},
    figures::{self, Goal, median, seconds, thousands, times},
    files::Files,
    plot::{self, Point},
    report::Report,
    stack::Stack,
    yardstick::Yardstick,
};

/// What the scenario is given.
pub(crate) struct History<'a> {
    /// A system without history.
    pub(crate) empty: &'a Stack,
    /// One that gets it; both share their engines.
    pub(crate) behind: &'a Stack,
    pub(crate) files: &'a Files,
    pub(crate) runs: usize,
    pub(crate) millions: f64,
}

/// Times of one thing, and of the yardstick beside it.
#[derive(Default)]
struct Measured {
    empty: Vec<Duration>,
    behind: Vec<Duration>,
    y: Vec<Duration>,
    forced: Vec<Duration>,
    dirty: Vec<Duration>,
    billed_empty: Vec<Duration>,
    billed: Vec<Duration>,
    undo_answered: Vec<Duration>,
    undone: Vec<Duration>,
}

impl History<'_> {
    /// Makes the history, measures behind it, and draws how it has grown.
    pub(crate) async fn measure(&self, report: &mut Report, picture: Option<&Path>) -> anyhow::Result<()> {
        let table = Yardstick::new(self.behind, "yardstick_history").await?;
        let (points, mut next) = self.grow(&table).await?;
        if let Some(picture) = picture {
            fs::write(picture, plot::draw(&points))?;
        }
        eprintln!("the history is billed");
        let (took, bills) = client::bill(self.behind).await?;
        let rate = thousands(bills as f64 / took.as_secs_f64());
        report.row(
            "the whole history billed in one run",
            format!("{} ({rate} bills/s)", seconds(took)),
            String::new(),
            "",
        );
        let mut measured = Measured::default();
        for _ in 0..self.runs {
            self.run(&table, &mut next, &mut measured).await?;
        }
        self.report(measured, report);
        self.costs(&table, next, report).await
    }

    /// File after file, into both, in turns. Returns what each took, and the number of the next file.
    async fn grow(&self, table: &Yardstick<'_>) -> anyhow::Result<(Vec<Point>, u64)> {
        let mut points = Vec::new();
        let a_million = |took: Duration| took.as_secs_f64() / self.files.rows as f64 * 1e6;
        for number in 0.. {
            let history = (number * self.files.rows) as f64 / 1e6;
            if history >= self.millions {
                return Ok((points, number));
            }
            let file = self.files.fresh(number)?;
            self.behind.checkpoint().await?;
            let sent = client::send(self.behind, &file, false).await?;
            ensure!(sent.upload.rows.accepted == self.files.rows, "{:?}", sent.upload);
            let copy = a_million(table.copy(&file).await?);
            let ours = a_million(sent.completed);
            eprintln!("behind {history:.1} million rows, per million: {ours:.2} s, \\copy {copy:.2} s");
            points.push(Point { history, ours, copy });
        }
        unreachable!("numbers end after any history")
    }

    /// Everything once, what is compared right after each other.
    async fn run(&self, table: &Yardstick<'_>, next: &mut u64, measured: &mut Measured) -> anyhow::Result<()> {
        let mut number = || {
            *next += 1;
            *next - 1
        };
        let file = self.files.fresh(number())?;
        self.empty.reset().await?;
        measured.empty.push(client::send(self.empty, &file, false).await?.completed);
        self.behind.checkpoint().await?;
        measured.behind.push(client::send(self.behind, &file, false).await?.completed);
        measured.y.push(table.copy(&file).await?);

        let forced = client::send(self.behind, &file, true).await?;
        ensure!(forced.upload.rows.duplicate == self.files.rows, "{:?}", forced.upload);
        measured.forced.push(forced.completed);

        self.behind.checkpoint().await?;
        let (took, bills) = client::bill(self.empty).await?;
        ensure!(bills == self.files.rows, "{bills} bills");
        measured.billed_empty.push(took);
        let (took, bills) = client::bill(self.behind).await?;
        ensure!(bills == self.files.rows, "{bills} bills behind the history");
        measured.billed.push(took);

        let file = self.files.fresh(number())?;
        let sent = client::send(self.behind, &file, false).await?;
        self.behind.checkpoint().await?;
        let (answered, undone) = client::undo(self.behind, &sent.upload.id).await?;
        measured.undo_answered.push(answered);
        measured.undone.push(undone);

        let file = self.files.fresh_dirty(number())?;
        self.behind.checkpoint().await?;
        let sent = client::send(self.behind, &file, false).await?;
        ensure!(sent.upload.rows.rejected > 0 && sent.upload.rows.duplicate > 0, "{:?}", sent.upload);
        measured.dirty.push(sent.completed);
        // Else its debts would be billed with those of the next run.
        client::undo(self.behind, &sent.upload.id).await?;
        Ok(())
    }

    fn report(&self, measured: Measured, report: &mut Report) {
        let millions = figures::thousands(self.millions);
        let y = median(measured.y);
        let (empty, behind) = (median(measured.empty), median(measured.behind));
        report.row(
            &format!("Y behind {millions} million rows: the same table, with them"),
            seconds(y),
            String::new(),
            "",
        );
        let rate = thousands(self.files.rows as f64 / behind.as_secs_f64());
        let what = format!("**first byte → `completed` behind {millions} million rows**");
        let measure = format!("**{}** ({rate} rows/s)", seconds(behind));
        report.against(&what, measure, times(behind, y), "Y there", Goal::AtMost(0.35));
        let (what, goal) = ("– against the empty system, in turns with it", Goal::AtMost(1.25));
        report.against(what, seconds(empty), times(behind, empty), "the empty system's", goal);
        for (what, taken, most) in [
            ("the same file again with `force`", measured.forced, 0.5),
            ("1 % bad rows, 1 % duplicates", measured.dirty, 0.4),
        ] {
            let took = median(taken);
            let what = format!("{what}, behind {millions} million rows");
            report.against(&what, seconds(took), times(took, y), "Y there", Goal::AtMost(most));
        }
        let (billed, billed_empty) = (median(measured.billed), median(measured.billed_empty));
        let what = format!("its debts billed, behind {millions} million billed ones");
        report.against(&what, seconds(billed), times(billed, y), "Y there", Goal::AtMost(0.4));
        let what = "– against the empty system, in turns with it";
        let goal = Goal::AtMost(1.1);
        report.against(what, seconds(billed_empty), times(billed, billed_empty), "the empty system's", goal);
        let undone = median(measured.undone);
        let what = format!("undo of an upload behind {millions} million rows: rows gone");
        report.figure(&what, seconds(undone), undone.as_secs_f64(), " s", Goal::AtMost(1.0));
        report.row(
            "– answered, and none of its rows counts any more",
            seconds(median(measured.undo_answered)),
            String::new(),
            "",
        );
    }

    /// What both cost, without history and behind it.
    async fn costs(&self, table: &Yardstick<'_>, number: u64, report: &mut Report) -> anyhow::Result<()> {
        let (rows, file) = (self.files.rows, self.files.fresh(number)?);
        self.empty.reset().await?;
        let (sent, ours) = Costs::of(self.empty, rows, client::send(self.empty, &file, false)).await?;
        sent?;
        let first = Yardstick::new(self.empty, "yardstick").await?;
        let (copied, copy) = Costs::of(self.empty, rows, first.copy(&file)).await?;
        copied?;
        first.drop().await?;
        self.behind.checkpoint().await?;
        let (sent, ours_behind) = Costs::of(self.behind, rows, client::send(self.behind, &file, false)).await?;
        sent?;
        let (copied, copy_behind) = Costs::of(self.behind, rows, table.copy(&file)).await?;
        copied?;
        let behind = |what: &str| format!("{what}, behind {} million", figures::thousands(self.millions));
        let all = [
            ("upload".to_owned(), ours),
            (behind("upload"), ours_behind),
            ("`\\copy`".to_owned(), copy),
            (behind("`\\copy`"), copy_behind),
        ];
        let (head, rows) = costs::beside(&all);
        report.table("Where it goes", head, rows);
        Ok(())
    }
}

/// Undoes an upload on a system without history.
pub(crate) async fn undo(stack: &Stack, files: &Files, runs: usize, report: &mut Report) -> anyhow::Result<()> {
    let (file, mut answered, mut undone) = (files.clean()?, vec![], vec![]);
    for _ in 0..runs {
        stack.reset().await?;
        let sent = client::send(stack, &file, false).await?;
        let (answer, gone) = client::undo(stack, &sent.upload.id).await?;
        answered.push(answer);
        undone.push(gone);
    }
    let took = median(undone);
    report.figure("undo of an upload: rows gone", seconds(took), took.as_secs_f64(), " s", Goal::AtMost(1.0));
    report.row("– answered, and none of its rows counts any more", seconds(median(answered)), String::new(), "");
    Ok(())
}
