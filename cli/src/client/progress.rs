//! What is known of a running upload, and showing it on stderr.

use std::{
    io::IsTerminal,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use gristmill_uploads::{State, Upload};
use indicatif::{ProgressBar, ProgressStyle};
use jiff::Timestamp;
use tokio::{task::JoinHandle, time::interval};
use tokio_util::sync::CancellationToken;

use super::human::{bytes, count, duration, rate};

/// Shared by those who learn how far an upload is and the one that shows it.
pub(super) struct Meter {
    started: Instant,
    /// Size of what is sent, if it is known.
    total: Option<u64>,
    sent: AtomicU64,
    known: Mutex<UploadProgress>,
}

#[derive(Default)]
struct UploadProgress {
    sent_whole: bool,
    upload: Option<Upload>,
    /// What is wrong right now.
    note: Option<String>,
}

impl Meter {
    pub(super) fn new(total: Option<u64>) -> Arc<Self> {
        Arc::new(Self { started: Instant::now(), total, sent: AtomicU64::new(0), known: Mutex::default() })
    }

    /// The file is sent from its beginning.
    pub(super) fn begin(&self) {
        self.sent.store(0, Ordering::Relaxed);
        *self.known() = UploadProgress::default();
    }

    pub(super) fn sent(&self, bytes: usize) {
        self.sent.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn sent_whole(&self) {
        self.known().sent_whole = true;
    }

    /// Whether the server may have the whole file, though it has not said so.
    pub(super) fn may_be_whole(&self) -> bool {
        self.total.is_some_and(|total| self.sent.load(Ordering::Relaxed) >= total)
    }

    /// Takes in where the upload stands. A resumed stream may tell old news first: they are left out.
    pub(super) fn learn(&self, upload: Upload) {
        let mut known = self.known();
        known.note = None;
        let is_old = |now: &Upload| !upload.state.is_final() && upload.rows.read < now.rows.read;
        if !known.upload.as_ref().is_some_and(is_old) {
            known.upload = Some(upload);
        }
    }

    pub(super) fn note(&self, note: impl Into<String>) {
        self.known().note = Some(note.into());
    }

    pub(super) fn upload(&self) -> Option<Upload> {
        self.known().upload.clone()
    }

    pub(super) fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }

    fn known(&self) -> MutexGuard<'_, UploadProgress> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How much is done, of 1, and the same in words.
    fn read(&self) -> (Option<f64>, String) {
        let known = self.known();
        let elapsed = self.elapsed();
        // Who joins late has not seen it begin: its own clock says how long it has been at work.
        let age = known.upload.as_ref().map_or(elapsed, |upload| elapsed.max(age(upload, Timestamp::now())));
        let received = known.upload.as_ref().is_some_and(|upload| upload.state != State::Receiving);
        let upload = known.upload.as_ref();
        let (done, words) = if known.sent_whole || received {
            upload.map_or((None, "sent".to_owned()), |upload| working(upload, age))
        } else {
            self.sending(upload, elapsed)
        };
        match &known.note {
            Some(note) => (done, format!("{note}  {words}")),
            None => (done, words),
        }
    }

    fn sending(&self, upload: Option<&Upload>, elapsed: Duration) -> (Option<f64>, String) {
        let sent = self.sent.load(Ordering::Relaxed);
        let rows = upload.map(|upload| format!("  {} rows done", count(upload.rows.read))).unwrap_or_default();
        let done = self.total.map(|total| share(sent, total));
        if self.may_be_whole() {
            return (done, format!("{} sent, the last are being stored{rows}", bytes(sent)));
        }
        let of = self.total.map(|total| format!(" of {}", bytes(total))).unwrap_or_default();
        let speed = rate(sent, elapsed).map(|rate| format!("  {}/s", bytes(rate))).unwrap_or_default();
        (done, format!("{}{of}{speed}{}{rows}", bytes(sent), eta(done, elapsed)))
    }
}

/// How long it has been at work, or was.
fn age(upload: &Upload, now: Timestamp) -> Duration {
    let until = upload.completed_at.unwrap_or(now);
    // A clock that is behind the server's says nothing.
    Duration::try_from(until.duration_since(upload.created_at)).unwrap_or_default()
}

fn working(upload: &Upload, elapsed: Duration) -> (Option<f64>, String) {
    let (rows, chunks) = (upload.rows, upload.chunks);
    let done = share(chunks.done.unsigned_abs(), chunks.total.unsigned_abs());
    // The most important first: a narrow terminal cuts the end off.
    let words = format!(
        "{} rows  {} rows/s{}  chunks {}/{}  {} accepted, {} rejected, {} duplicate",
        count(rows.read),
        count(rate(rows.read.unsigned_abs(), elapsed).unwrap_or_default()),
        eta(Some(done), elapsed),
        count(chunks.done),
        count(chunks.total),
        count(rows.accepted),
        count(rows.rejected),
        count(rows.duplicate),
    );
    (Some(done), words)
}

/// How long it will still take if it goes on like this; nothing where that would be a guess.
fn eta(done: Option<f64>, elapsed: Duration) -> String {
    let done = done.filter(|done| *done > 0.02 && *done < 1.0);
    done.map(|done| format!("  ETA {}", duration(elapsed.mul_f64((1.0 - done) / done)))).unwrap_or_default()
}

#[expect(clippy::cast_precision_loss, reason = "a progress bar has a hundred steps")]
fn share(done: u64, of: u64) -> f64 {
    if of == 0 { 0.0 } else { (done as f64 / of as f64).min(1.0) }
}

/// How progress is shown.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Style {
    /// One line that changes, on a terminal.
    Bar,
    /// A line every second.
    Lines,
    /// Every change as JSON on stdout.
    Json,
}

impl Style {
    pub(super) fn new(json: bool) -> Self {
        match (json, std::io::stderr().is_terminal()) {
            (true, _) => Self::Json,
            (false, true) => Self::Bar,
            (false, false) => Self::Lines,
        }
    }
}

/// Shows a meter until it is closed.
pub(super) struct Screen {
    stop: CancellationToken,
    task: JoinHandle<()>,
}

impl Screen {
    pub(super) fn open(meter: &Arc<Meter>, style: Style) -> Self {
        let (stop, meter) = (CancellationToken::new(), meter.clone());
        let stopped = stop.clone();
        let task = tokio::spawn(async move {
            let shown = async {
                match style {
                    Style::Bar => bar(&meter).await,
                    Style::Lines => lines(&meter).await,
                    Style::Json => json(&meter).await,
                }
            };
            let _ = stopped.run_until_cancelled(shown).await;
        });
        Self { stop, task }
    }

    /// Leaves a clean line behind.
    pub(super) async fn close(self) {
        self.stop.cancel();
        let _ = self.task.await;
    }
}

async fn bar(meter: &Meter) {
    const STEPS: f64 = 1000.0;
    let style =
        |template| ProgressStyle::with_template(template).expect("the template is valid").progress_chars("█▉▊▋▌▍▎▏ ");
    let (known, unknown) = (style("{bar:20.cyan} {percent:>3}%  {wide_msg}"), style("{spinner}  {wide_msg}"));
    let bar = Cleared(ProgressBar::new(STEPS as u64));
    let mut tick = interval(Duration::from_millis(100));
    loop {
        tick.tick().await;
        let (done, words) = meter.read();
        bar.0.set_style(if done.is_some() { known.clone() } else { unknown.clone() });
        bar.0.set_position((done.unwrap_or_default() * STEPS) as u64);
        bar.0.set_message(words);
        bar.0.tick();
    }
}

/// A bar that is taken off the screen, however its task ends.
struct Cleared(ProgressBar);

impl Drop for Cleared {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

async fn lines(meter: &Meter) {
    let second = Duration::from_secs(1);
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + second, second);
    let mut last = String::new();
    loop {
        tick.tick().await;
        let (done, words) = meter.read();
        let line = done.map_or_else(|| words.clone(), |done| format!("{:>3.0} %  {words}", done * 100.0));
        if line != last {
            eprintln!("{line}");
            last = line;
        }
    }
}

async fn json(meter: &Meter) {
    let mut tick = interval(Duration::from_millis(100));
    let mut last = None;
    loop {
        tick.tick().await;
        let upload = meter.upload().filter(|upload| !upload.state.is_final());
        if upload != last {
            if let Some(line) = upload.as_ref().and_then(|upload| serde_json::to_string(upload).ok()) {
                println!("{line}");
            }
            last = upload;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn upload(state: &str, read: i64, done: i64) -> Upload {
        serde_json::from_value(serde_json::json!({
            "id": "0195b3a4-0000-7000-8000-000000000000", "kind": "debts", "policy": "partial", "filename": null,
            "bytes": 1, "sha256": null, "state": state, "created_at": "2026-01-01T00:00:00Z",
            "rows": {"read": read, "accepted": read, "rejected": 0, "duplicate": 0}, "chunks": {"total": 4, "done": done},
        }))
        .unwrap()
    }

    #[test]
    fn tells_bytes_then_chunks() {
        let meter = Meter::new(Some(2000));
        meter.begin();
        meter.sent(1000);
        let (done, words) = meter.read();
        assert_eq!(done, Some(0.5));
        assert!(words.starts_with("1.0 kB of 2.0 kB"), "{words}");
        meter.learn(upload("receiving", 30, 1));
        assert!(meter.read().1.contains("30 rows done"));
        meter.sent_whole();
        meter.learn(upload("processing", 1234, 3));
        let (done, words) = meter.read();
        assert_eq!(done, Some(0.75));
        assert!(
            words.contains("1,234 rows") && words.contains("chunks 3/4") && words.contains("1,234 accepted"),
            "{words}"
        );
    }

    #[test]
    fn who_joins_late_is_told_the_rate_of_the_upload() {
        let running = upload("processing", 1_000_000, 2);
        let hundred_seconds = running.created_at + jiff::SignedDuration::from_secs(100);
        let at_work = age(&running, hundred_seconds);
        assert_eq!(at_work, Duration::from_secs(100));
        let words = working(&running, at_work).1;
        assert!(words.contains("10,000 rows/s") && words.contains("ETA 1 min 40 s"), "{words}");
        let behind = running.created_at - jiff::SignedDuration::from_secs(5);
        assert_eq!(age(&running, behind), Duration::ZERO, "a clock that is behind says nothing");
    }

    #[test]
    fn old_news_are_left_out_and_notes_end() {
        let meter = Meter::new(None);
        meter.sent_whole();
        meter.learn(upload("processing", 1234, 3));
        meter.note("the connection broke");
        assert!(meter.read().1.starts_with("the connection broke"));
        meter.learn(upload("processing", 5, 1));
        assert!(meter.read().1.starts_with("1,234 rows"));
        meter.learn(upload("failed", 0, 0));
        assert_eq!(meter.upload().unwrap().state, State::Failed);
    }
}
