//! Claiming: as many as there is room for, the moment there is one.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use rand::RngExt as _;
use tokio::sync::{Notify, mpsc};
use tokio_util::sync::CancellationToken;
use tracing::{info, warn};

use super::{
    Broker, DeadLetter, DeadLetterSink, Lease, DeadLetterReason, RunningName, RunningView,
    acks::{Answer, Note, Verdict, record_lost, store_dead_letter},
    broker::{Claimed, Hold},
    link::Link,
    links::LeaseThread,
    process::Vitals,
    quiet::Quiet,
    wakes::NAP,
};

/// What this process holds of one queue.
pub(super) struct Claims {
    held: Mutex<HashMap<String, Held>>,
    room: AtomicUsize,
    freed: Notify,
    notes: mpsc::UnboundedSender<Note>,
    /// When the last call began that kept the leases.
    kept: Mutex<Instant>,
    /// Deliveries that this process itself overtook: it lives, and nobody else can say so.
    overtaken: Mutex<Vec<(String, u64)>>,
    /// When a job was last left to others.
    left: Mutex<Option<Instant>>,
}

struct Held {
    number: u64,
    /// Milliseconds since 1970.
    since: u64,
    name: RunningName,
    lost: CancellationToken,
}

impl Claims {
    pub(super) fn new(concurrency: usize, notes: mpsc::UnboundedSender<Note>) -> Self {
        Self {
            held: Mutex::default(),
            room: AtomicUsize::new(concurrency),
            freed: Notify::new(),
            notes,
            kept: Mutex::new(Instant::now()),
            overtaken: Mutex::default(),
            left: Mutex::default(),
        }
    }

    pub(super) fn set_kept(&self, at: Instant) {
        *self.kept.lock().unwrap_or_else(PoisonError::into_inner) = at;
    }

    /// No lease that this process holds can have run out before it is older than this.
    pub(super) fn kept_for(&self) -> Duration {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).elapsed()
    }

    fn table(&self) -> std::sync::MutexGuard<'_, HashMap<String, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn overtaken(&self) -> std::sync::MutexGuard<'_, Vec<(String, u64)>> {
        self.overtaken.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a lease. There is room for the next job now; the lease is renewed until Redis has the answer.
    pub(super) fn answer(&self, answer: Answer) {
        if let Verdict::Leave(_) = answer.verdict {
            *self.left.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        }
        self.free();
        // The receiver goes last of all; without it there is nobody left to tell.
        let _ = self.notes.send(Note::Answer(answer));
    }

    fn has_left_lately(&self) -> bool {
        self.left.lock().unwrap_or_else(PoisonError::into_inner).is_some_and(|at| at.elapsed() < LATELY)
    }

    fn free(&self) {
        self.room.fetch_add(1, Ordering::AcqRel);
        self.freed.notify_one();
    }

    pub(super) fn note(&self, note: Note) {
        let _ = self.notes.send(note);
    }

    /// Redis has the answers to these. (A job that was lost and claimed again by this process stays.)
    pub(super) fn forget<'a>(&self, answered: impl Iterator<Item = (&'a String, u64)>) {
        let mut held = self.table();
        for (id, number) in answered {
            if held.get(id).is_some_and(|held| held.number == number) {
                held.remove(id);
            }
        }
    }

    pub(super) fn held(&self) -> Vec<(String, u64)> {
        self.table().iter().map(|(id, held)| (id.clone(), held.number)).collect()
    }

    /// How many jobs there are, and those held longest.
    pub(super) fn running(&self, limit: usize) -> (usize, Vec<RunningView>) {
        let held = self.table();
        let mut oldest: Vec<_> = held.iter().collect();
        oldest.sort_by(|a, b| (a.1.since, a.0).cmp(&(b.1.since, b.0)));
        oldest.truncate(limit);
        let view =
            |(id, held): (&String, &Held)| RunningView::new(id.clone(), held.name.get(), held.number, held.since);
        (held.len(), oldest.into_iter().map(view).collect())
    }

    /// Somebody else has these now.
    pub(super) fn lose(&self, ids: &[String]) {
        let held = self.table();
        for id in ids {
            if let Some(held) = held.get(id) {
                held.lost.cancel();
            }
        }
    }

    /// Takes note of claims; returns for each the token that tells of its loss, and the place for its name.
    fn hold(&self, leases: &[Lease]) -> Vec<(CancellationToken, RunningName)> {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let since = u64::try_from(since).unwrap_or(u64::MAX);
        let mut held = self.table();
        leases
            .iter()
            .map(|lease| {
                let lost = CancellationToken::new();
                let name = RunningName::default();
                let new = Held { number: lease.number, since, name: name.clone(), lost: lost.clone() };
                if let Some(old) = held.insert(lease.id.clone(), new) {
                    old.lost.cancel();
                    self.overtaken().push((lease.id.clone(), old.number));
                }
                (lost, name)
            })
            .collect()
    }
}

/// A claimed job on its way to the service.
pub(super) struct Fetched {
    pub(super) lease: Lease,
    pub(super) lost: CancellationToken,
    pub(super) name: RunningName,
}

type Flaw = dyn Fn(&Vec<u8>) -> Option<String> + Send + Sync;

pub(super) struct Fetcher {
    pub(super) broker: Broker,
    pub(super) link: Link,
    pub(super) thread: Arc<LeaseThread>,
    pub(super) vitals: Arc<Vitals>,
    pub(super) lease: Duration,
    pub(super) claims: Arc<Claims>,
    pub(super) quiet: Quiet,
    pub(super) stop: CancellationToken,
    pub(super) out: mpsc::UnboundedSender<Fetched>,
    /// Why a payload cannot be handed to the service.
    pub(super) flaw: Box<Flaw>,
    pub(super) dead_letters: Arc<dyn DeadLetterSink>,
}

impl Fetcher {
    /// Claims until told to stop. No error of Redis ends it.
    pub(super) async fn run(self) {
        let mut turn = 0_u32;
        let mut failing = false;
        while !self.stop.is_cancelled() {
            let room = self.claims.room.load(Ordering::Acquire);
            if room == 0 {
                self.vitals.set_content(true);
                tokio::select! {
                    () = self.claims.freed.notified() => {}
                    () = self.stop.cancelled() => {}
                }
                self.vitals.set_content(false);
                continue;
            }
            if self.quiet.has_suspect() {
                self.vitals.set_content(true);
                tokio::select! {
                    () = self.quiet.open() => {}
                    () = self.stop.cancelled() => {}
                }
                self.vitals.set_content(false);
                continue;
            }
            turn = turn.wrapping_add(1);
            let pause = match self.broker.claim(&mut self.link.conn(), self.lease, room, turn.is_multiple_of(16)).await
            {
                Ok(claimed) => {
                    if std::mem::take(&mut failing) {
                        info!("the broker answers again");
                    }
                    let pause = Pause::after(&claimed);
                    if !claimed.stuck {
                        self.vitals.progress();
                    }
                    if !self.hand_out(claimed.leases) {
                        break;
                    }
                    pause
                }
                Err(error) => {
                    if !std::mem::replace(&mut failing, true) {
                        warn!(%error, "the broker cannot be read; trying on");
                    }
                    Pause::For(FAILED)
                }
            };
            tokio::select! {
                () = self.pass(pause) => {}
                () = self.stop.cancelled() => {}
            }
        }
        self.vitals.set_content(true);
    }

    async fn pass(&self, pause: Pause) {
        match pause {
            Pause::None => {}
            Pause::For(pause) => tokio::time::sleep(pause).await,
            // Wake-ups go round: who is woken for a job that it leaves might be so each time that is back in line. They
            // are for the others now; this one looks by itself.
            Pause::UntilWoken if self.claims.has_left_lately() => {
                let pause = NAP.mul_f64(rand::rng().random_range(0.1..0.5));
                tokio::time::sleep(pause).await;
            }
            Pause::UntilWoken => self.thread.wakes.sleep(self.broker.wake_key()).await,
        }
    }

    fn hand_out(&self, leases: Vec<Lease>) -> bool {
        self.claims.room.fetch_sub(leases.len(), Ordering::AcqRel);
        let tokens = self.claims.hold(&leases);
        // Whoever found that out may have been lost too before it was written down.
        let lost: Vec<_> = leases.iter().flat_map(|lease| lease.strikes.lost(&lease.id)).collect();
        if !lost.is_empty() {
            tokio::spawn(record_lost(Arc::clone(&self.dead_letters), lost));
        }
        for (lease, (lost, name)) in leases.into_iter().zip(tokens) {
            if lease.number > 1 {
                metrics::counter!("gristmill_redeliveries_total").increment(1);
            }
            if let Some(flaw) = (self.flaw)(&lease.payload) {
                self.claims.free();
                let job = DeadLetter { id: lease.id, payload: lease.payload, reason: DeadLetterReason::Undecodable(flaw) };
                tokio::spawn(store_dead_letter(Arc::clone(&self.claims), Arc::clone(&self.dead_letters), job, lease.number));
                continue;
            }
            if let Err(back) = self.out.send(Fetched { lease, lost, name }) {
                let Lease { id, number, .. } = back.0.lease;
                self.claims.answer(Answer { id, number, verdict: Verdict::Back(Duration::ZERO) });
                return false;
            }
        }
        true
    }
}

const FAILED: Duration = Duration::from_millis(200);
/// What was left to others is back in line within half of this.
const LATELY: Duration = Duration::from_secs(2);
/// A paused queue is looked at this often: it is a flag that nobody has to be woken for.
const PAUSED: Duration = Duration::from_millis(250);

/// What to do before the next claim.
enum Pause {
    None,
    For(Duration),
    UntilWoken,
}

impl Pause {
    fn after(claimed: &Claimed) -> Self {
        match claimed.hold {
            _ if !claimed.leases.is_empty() => Self::None,
            Hold::None | Hold::Full => Self::UntilWoken,
            Hold::Paused => Self::For(PAUSED),
            Hold::Rate(next) => Self::For(next.min(NAP)),
        }
    }
}
