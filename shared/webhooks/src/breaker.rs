//! An endpoint that does not answer is left alone for a while: its deliveries wait without being tried, and without holding
//! a place that another's could have.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use rand::RngExt as _;
use uuid::Uuid;

/// Failures in a row after which an endpoint is left alone, and for how long: twice as long with each further one.
const FAILURES: u32 = 5;
const FIRST: Duration = Duration::from_secs(5);
const MAX_OPEN: Duration = Duration::from_secs(300);
/// While the last call failed, one is made at a time.
const IN_DOUBT: Duration = Duration::from_secs(1);

/// What this process knows of endpoints that fail. Another one finds out by itself, with a few calls.
#[derive(Default)]
pub(crate) struct Breakers(Mutex<HashMap<Uuid, Breaker>>);

#[derive(Default)]
struct Breaker {
    failures: u32,
    closed_until: Option<Instant>,
    /// One call is made, to see.
    trying: bool,
}

/// How a call was taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Health {
    /// Answered as it should be, or refused by an endpoint that is well.
    Well,
    /// Not answered, or answered with a fault.
    Unwell,
    /// It wants to be left alone for so long.
    Asks(Duration),
}

/// A call that may be made.
pub(crate) struct Call<'a> {
    breakers: &'a Breakers,
    endpoint: Uuid,
    /// Of those that are made to see.
    tries: bool,
}

impl Breakers {
    /// A call, or about how long to wait before one.
    pub(crate) fn call(&self, endpoint: Uuid) -> Result<Call<'_>, Duration> {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(breaker) = all.get_mut(&endpoint) else { return Ok(Call { breakers: self, endpoint, tries: false }) };
        if let Some(left) = breaker.closed_until.and_then(|until| until.checked_duration_since(Instant::now())) {
            // They come back one after another, not all at once.
            return Err(left + spread(window(breaker.failures)));
        }
        if breaker.trying {
            return Err(IN_DOUBT + spread(IN_DOUBT));
        }
        breaker.trying = true;
        Ok(Call { breakers: self, endpoint, tries: true })
    }

    fn told(&self, endpoint: Uuid, health: Health) {
        let mut all = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if health == Health::Well {
            all.remove(&endpoint);
            return;
        }
        let breaker = all.entry(endpoint).or_default();
        let pause = match health {
            Health::Asks(pause) => Some(pause),
            _ => {
                breaker.failures += 1;
                (breaker.failures >= FAILURES).then(|| window(breaker.failures))
            }
        };
        if let Some(pause) = pause {
            breaker.closed_until = Some(Instant::now() + pause);
        }
    }
}

impl Call<'_> {
    /// How it went.
    pub(crate) fn told(self, health: Health) {
        self.breakers.told(self.endpoint, health);
    }
}

impl Drop for Call<'_> {
    /// Also of one that was broken off and has told nothing.
    fn drop(&mut self) {
        let mut all = self.breakers.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(breaker) = all.get_mut(&self.endpoint).filter(|_| self.tries) {
            breaker.trying = false;
        }
    }
}

fn window(failures: u32) -> Duration {
    FIRST.saturating_mul(2_u32.saturating_pow(failures.saturating_sub(FAILURES).min(16))).min(MAX_OPEN)
}

fn spread(over: Duration) -> Duration {
    over.mul_f64(rand::rng().random_range(0.0..1.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Breakers {
        fn fails(&self, endpoint: Uuid, health: Health) {
            match self.call(endpoint) {
                Ok(call) => call.told(health),
                Err(wait) => panic!("left alone for {wait:?}"),
            }
        }

        fn wait(&self, endpoint: Uuid) -> Option<Duration> {
            self.call(endpoint).err()
        }
    }

    #[test]
    fn five_failures_close_it_and_a_success_opens_it() {
        let (breakers, endpoint) = (Breakers::default(), Uuid::nil());
        let early = breakers.call(endpoint);
        let since = Instant::now();
        for _ in 0..FAILURES {
            breakers.fails(endpoint, Health::Unwell);
        }
        assert!(breakers.wait(endpoint).is_some_and(|wait| wait + since.elapsed() >= FIRST));
        assert_eq!(breakers.wait(Uuid::max()), None, "others are not held");
        // One that was on its way before is answered.
        early.ok().unwrap().told(Health::Well);
        assert_eq!(breakers.wait(endpoint), None);
    }

    #[test]
    fn in_doubt_there_is_one_call_at_a_time() {
        let (breakers, endpoint) = (Breakers::default(), Uuid::nil());
        breakers.fails(endpoint, Health::Unwell);
        let trying = breakers.call(endpoint);
        assert!(trying.is_ok() && breakers.wait(endpoint).is_some());
        drop(trying);
        assert_eq!(breakers.wait(endpoint), None, "it was broken off");
    }

    #[test]
    fn who_asks_to_be_left_alone_is() {
        let (breakers, endpoint, asked) = (Breakers::default(), Uuid::nil(), Duration::from_secs(100));
        let since = Instant::now();
        breakers.fails(endpoint, Health::Asks(asked));
        assert!(breakers.wait(endpoint).is_some_and(|wait| wait + since.elapsed() >= asked));
    }

    #[test]
    fn windows_double_up_to_their_limit() {
        assert_eq!((window(5), window(6), window(40)), (FIRST, FIRST * 2, MAX_OPEN));
    }
}
