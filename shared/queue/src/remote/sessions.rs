//! What this process has heard of remote workers: for the roster, and to keep a suspected job alone. No outcome depends on it.

use std::{
    collections::{BTreeMap, HashMap},
    sync::Mutex,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use tokio_util::sync::CancellationToken;
use tracing::{debug, info};
use uuid::Uuid;

use super::{Inner, RemoteWorker, Ticket, lock};
use crate::{
    JobId,
    broker::{HEARTBEAT_INTERVAL, Heartbeat, KnownJob, MAX_NAMED_JOBS, RunningView, WORKER_TTL, WorkerQueueView},
    codec,
};

/// How long a worker is given nothing so that a suspected job finds it empty, and how long after that it is not again.
const ROOM: Duration = Duration::from_secs(10);
const ROOM_AGAIN: Duration = Duration::from_secs(60);

#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<String, Session>>);

/// One worker.
pub(super) struct Session {
    id: Uuid,
    about: RemoteWorker,
    /// Sorted; empty: it has not claimed anything from this process.
    pub(super) names: Vec<String>,
    names_told: bool,
    /// How many jobs it takes of each queue.
    slots: BTreeMap<String, usize>,
    pub(super) held: HashMap<JobId, Held>,
    heard: Instant,
    beaten: Option<Instant>,
    /// Since when the registry has listed it without a break, as far as this process knows.
    pub(super) registered: Option<Instant>,
    /// When parked jobs were last looked for.
    pub(super) unparked: Option<Instant>,
    pub(super) draining: bool,
    /// Cancelled when it says that it ends.
    pub(super) left: CancellationToken,
    emptied: Option<Instant>,
}

/// A job that it was given, or said that it holds.
pub(super) struct Held {
    pub(super) ticket: Ticket,
    pub(super) queue: String,
    pub(super) name: String,
    /// When this process gave it, if it was this one.
    pub(super) started: Option<Instant>,
    /// When this process first heard of it.
    pub(super) since: Instant,
    since_ms: u64,
    renewed: Instant,
    pub(super) cancel_told: Option<Instant>,
    /// Nothing may run beside it.
    alone: bool,
}

impl Held {
    pub(super) fn new(ticket: Ticket, queue: &str, name: &str, given: bool, alone: bool) -> Self {
        let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let now = Instant::now();
        Self {
            ticket,
            queue: queue.to_owned(),
            name: name.to_owned(),
            started: given.then_some(now),
            since: now,
            since_ms: u64::try_from(since).unwrap_or(u64::MAX),
            renewed: now,
            cancel_told: None,
            alone,
        }
    }

    pub(super) fn set_renewed(&mut self) {
        self.renewed = Instant::now();
    }
}

impl Sessions {
    /// Looks at, or changes, what is known of this worker. One that nobody has heard of for a while is forgotten.
    pub(super) fn with<T>(&self, worker: &RemoteWorker, change: impl FnOnce(&mut Session) -> T) -> T {
        let mut sessions = lock(&self.0);
        if !sessions.contains_key(&worker.name) {
            sessions.retain(|_, session| session.heard.elapsed() < WORKER_TTL * 2);
        }
        let session = sessions.entry(worker.name.clone()).or_insert_with(|| Session::new(worker));
        session.heard = Instant::now();
        change(session)
    }

    fn remove(&self, worker: &str) -> Option<Session> {
        lock(&self.0).remove(worker)
    }
}

impl Session {
    fn new(worker: &RemoteWorker) -> Self {
        Self {
            id: id(&worker.name),
            about: worker.clone(),
            names: Vec::new(),
            names_told: false,
            slots: BTreeMap::new(),
            held: HashMap::new(),
            heard: Instant::now(),
            beaten: None,
            registered: None,
            unparked: None,
            draining: false,
            left: CancellationToken::new(),
            emptied: None,
        }
    }

    /// What it says of itself; what it leaves out stays.
    pub(super) fn describe(&mut self, worker: &RemoteWorker) {
        let RemoteWorker { language, version, host, pid, .. } = worker.clone();
        let about = &mut self.about;
        about.language = language.or(about.language.take());
        about.version = version.or(about.version.take());
        about.host = host.or(about.host.take());
        about.pid = pid.or(about.pid);
    }

    /// It has room for so many jobs of these queues, and can run these.
    pub(super) fn wants(&mut self, queues: &BTreeMap<String, usize>, names: &[String], lease: Duration) {
        self.forget_expired(lease);
        if self.names != names {
            self.names = names.to_vec();
            (self.names_told, self.unparked) = (false, None);
        }
        for (queue, room) in queues {
            let held = self.held.values().filter(|held| held.queue == *queue).count();
            let slots = self.slots.entry(queue.clone()).or_default();
            *slots = room + held;
        }
    }

    /// Of what it was given and says nothing any more, another worker has it by now.
    pub(super) fn forget_expired(&mut self, lease: Duration) {
        self.held.retain(|_, held| held.renewed.elapsed() < lease * 2);
    }

    /// It is given nothing: it holds a job that must be alone, or makes room for one.
    pub(super) fn is_reserved(&self) -> bool {
        let empties = self.emptied.is_some_and(|since| since.elapsed() < ROOM);
        self.held.values().any(|held| held.alone) || (empties && !self.held.is_empty())
    }

    /// A job that must be alone has come while others ran.
    pub(super) fn make_room(&mut self) {
        if self.emptied.is_none_or(|since| since.elapsed() >= ROOM_AGAIN) {
            self.emptied = Some(Instant::now());
        }
    }

    fn views(&self) -> Vec<(Uuid, WorkerQueueView)> {
        let mut queues: BTreeMap<&str, Vec<&Held>> =
            self.slots.keys().map(|queue| (queue.as_str(), Vec::new())).collect();
        for held in self.held.values() {
            queues.entry(&held.queue).or_default().push(held);
        }
        let view = |(queue, mut held): (&str, Vec<&Held>)| {
            let age = held.iter().map(|held| held.renewed.elapsed()).max().unwrap_or_default();
            let slots = self.slots.get(queue).copied().unwrap_or_default().max(held.len());
            held.sort_by_key(|held| (held.since_ms, held.ticket.id));
            let running = held.iter().take(MAX_NAMED_JOBS).map(|held| {
                let name = (!held.name.is_empty()).then(|| held.name.clone());
                RunningView::new(held.ticket.id.to_string(), name, held.ticket.number(), held.since_ms)
            });
            (entry(self.id, queue), WorkerQueueView::new(queue, slots, age, held.len(), running.collect()))
        };
        queues.into_iter().map(view).collect()
    }

    fn heartbeat(&self, payload_keys: Vec<String>) -> Heartbeat {
        let RemoteWorker { name, language, version, host, pid } = self.about.clone();
        Heartbeat {
            label: name,
            version: version.unwrap_or_default(),
            pid: pid.unwrap_or_default(),
            host,
            language: Some(language.unwrap_or_else(|| "http".into())),
            draining: self.draining,
            unhealthy_reason: None,
            memory_bytes: None,
            cpu: None,
            payload_keys,
        }
    }

    /// As the other workers are told: it reads every version of them.
    pub(super) fn known_jobs(&self) -> Vec<KnownJob> {
        self.names.iter().map(|name| KnownJob { name: name.clone(), version: u16::MAX }).collect()
    }
}

impl Inner {
    /// Writes the worker into the roster, where it is due or `now`, and learns whether it is to drain. A broker that is away
    /// is nothing to the caller: the next heartbeat comes.
    pub(super) async fn beat(&self, worker: &RemoteWorker, now: bool) {
        let due = self.sessions.with(worker, |session| {
            if !now && session.names_told && session.beaten.is_some_and(|beaten| beaten.elapsed() < HEARTBEAT_INTERVAL)
            {
                return None;
            }
            session.beaten = Some(Instant::now());
            let names = (!session.names_told && !session.names.is_empty()).then(|| session.known_jobs());
            Some((session.id, session.heartbeat(self.payload_keys()), session.views(), names))
        });
        let Some((id, heartbeat, views, mut names)) = due else { return };
        let (registry, mut drain, mut is_new) = (self.queue.links().answers(), false, false);
        for (entry, view) in &views {
            let sent = async {
                let mut reply = registry.heartbeat(id, &heartbeat, (*entry, view), names.as_deref()).await?;
                if !reply.has_known_jobs {
                    is_new = true;
                    let known = self.sessions.with(worker, |session| session.known_jobs());
                    if !known.is_empty() {
                        reply = registry.heartbeat(id, &heartbeat, (*entry, view), Some(&known)).await?;
                    }
                }
                Ok::<_, crate::BrokerError>(reply)
            };
            match sent.await {
                Ok(reply) => drain |= reply.drain,
                Err(error) => {
                    debug!(%error, worker = worker.name, "the broker took no heartbeat of a remote worker");
                    return;
                }
            }
            names = None;
        }
        if views.is_empty() {
            return;
        }
        let drains_now = self.sessions.with(worker, |session| {
            session.names_told |= !session.names.is_empty();
            if is_new || session.registered.is_none() {
                session.registered = Some(Instant::now());
            }
            let begins = drain && !session.draining;
            session.draining = drain;
            begins
        });
        if drains_now {
            info!(worker = worker.name, "draining: the remote worker is given no more jobs");
            Box::pin(self.beat(worker, true)).await;
        }
    }

    /// The server's: it decrypts for its workers.
    pub(super) fn payload_keys(&self) -> Vec<String> {
        codec::keys(self.queue.config().codec())
    }

    /// Takes the worker out of the roster.
    pub(super) async fn leave(&self, worker: &RemoteWorker) {
        let Some(session) = self.sessions.remove(&worker.name) else { return };
        session.left.cancel();
        for (entry, _) in session.views() {
            if let Err(error) = self.queue.links().answers().deregister(session.id, entry).await {
                debug!(%error, worker = worker.name, "the broker did not remove a worker that left: its entry expires");
            }
        }
    }
}

/// The id of the worker of this name, in every process that it talks to.
fn id(name: &str) -> Uuid {
    uuid_of(&[b"worker ", name.as_bytes()])
}

/// The id of one of its queues in the roster.
fn entry(worker: Uuid, queue: &str) -> Uuid {
    uuid_of(&[worker.as_bytes(), queue.as_bytes()])
}

/// FNV-1a of 128 bits: the same in every build.
fn uuid_of(parts: &[&[u8]]) -> Uuid {
    let hash = parts.iter().copied().flatten().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d_u128, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b)
    });
    uuid::Builder::from_random_bytes(hash.to_be_bytes()).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_one_id() {
        assert_eq!(id("py-7"), id("py-7"));
        assert_ne!(id("py-7"), id("py-8"));
        assert_ne!(entry(id("py-7"), "a"), entry(id("py-7"), "b"));
    }
}
