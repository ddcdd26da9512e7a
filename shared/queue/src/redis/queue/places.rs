//! Where a queue's jobs are in Redis, to be looked through and, when nobody is to do them any more, to be forgotten.

use std::{collections::BTreeSet, time::Duration};

use ::redis::{RedisResult, aio::ConnectionLike};

use super::{super::keys, BATCH_SIZE, Broker, DELAYED, FORGET, KEYS, LEASES, THROTTLED, millis};

/// Something that holds ids of a queue.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    /// Jobs of one priority and key, in their order.
    ReadyList(u8, String),
    /// What waits after a failure.
    Delayed,
    /// What runs, or did until its worker was lost.
    Leases,
}

impl Broker {
    /// Some of the queues of a namespace that have anything in Redis, and where to go on; 0 is the start and the end.
    pub(crate) async fn queues<C: ConnectionLike + Send>(
        conn: &mut C,
        namespace: &str,
        cursor: u64,
    ) -> RedisResult<(u64, BTreeSet<String>)> {
        let prefix = format!("{{{}:", keys::versioned(namespace));
        let literal = keys::escape_pattern(&prefix);
        let mut call = ::redis::cmd("SCAN");
        call.arg(cursor).arg("MATCH").arg(format!("{literal}*")).arg("COUNT").arg(1_000);
        let (next, keys): (u64, Vec<Vec<u8>>) = call.query_async(conn).await?;
        // (A fair key may be anything, but it comes behind.)
        let queue = |key: &Vec<u8>| {
            let text = String::from_utf8_lossy(key);
            let (queue, _) = text.strip_prefix(&prefix)?.split_once("}:")?;
            Some(queue.to_owned())
        };
        Ok((next, keys.iter().filter_map(queue).collect()))
    }

    /// Every place of the queue that may hold ids.
    pub(crate) async fn all_places<C: ConnectionLike + Send>(&self, conn: &mut C) -> RedisResult<BTreeSet<Place>> {
        let mut pipe = ::redis::pipe();
        pipe.hgetall(&self.keys[THROTTLED]).exists(&self.keys[DELAYED]).exists(&self.keys[LEASES]);
        let (throttled, delayed, leases): (Vec<(String, String)>, bool, bool) = pipe.query_async(conn).await?;
        let mut pipe = ::redis::pipe();
        for ready in &self.keys[KEYS.len()..] {
            pipe.lrange(ready, 0, -1);
        }
        let rings: Vec<Vec<String>> = pipe.query_async(conn).await?;
        let in_turn = (0..)
            .zip(rings)
            .flat_map(|(priority, keys)| keys.into_iter().map(move |key| Place::ReadyList(priority, key)));
        let throttled = throttled.into_iter().flat_map(|(key, priorities)| {
            let each: Vec<u8> = priorities.bytes().filter(u8::is_ascii_digit).map(|digit| digit - b'0').collect();
            each.into_iter().map(move |priority| Place::ReadyList(priority, key.clone()))
        });
        let others = delayed.then_some(Place::Delayed).into_iter().chain(leases.then_some(Place::Leases));
        Ok(in_turn.chain(throttled).chain(others).collect())
    }

    /// Up to `count` ids of each place, from an offset on.
    pub(crate) async fn ids_at<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        places: &[(Place, usize)],
        count: usize,
    ) -> RedisResult<Vec<Vec<String>>> {
        let mut pipe = ::redis::pipe();
        for (place, from) in places {
            let (from, to) = (from.cast_signed(), (from + count).cast_signed() - 1);
            match place {
                Place::ReadyList(priority, key) => pipe.lrange(self.line(*priority, key), from, to),
                Place::Delayed => pipe.zrange(&self.keys[DELAYED], from, to),
                Place::Leases => pipe.zrange(&self.keys[LEASES], from, to),
            };
        }
        pipe.query_async(conn).await
    }

    /// Forgets these jobs, which were seen at this place, `from` there on; but not those that are leased. Returns those
    /// that are gone, and how many ids the place lost.
    pub(crate) async fn forget<C: ConnectionLike + Send>(
        &self,
        conn: &mut C,
        lease: Duration,
        (place, from, count): (&Place, usize, usize),
        ids: &[String],
    ) -> RedisResult<(Vec<String>, usize)> {
        let (mut gone, mut lost) = (Vec::new(), 0);
        for slice in ids.chunks(BATCH_SIZE) {
            let mut call = self.call(&FORGET);
            call.arg(millis(lease));
            match place {
                Place::ReadyList(priority, key) => call.arg(*priority).arg(key),
                Place::Delayed | Place::Leases => call.arg("").arg(""),
            };
            call.arg(from).arg(count).arg(slice);
            let (ids, taken): (Vec<String>, usize) = call.invoke_async(conn).await?;
            lost += if matches!(place, Place::ReadyList(..)) { taken } else { ids.len() };
            gone.extend(ids);
        }
        Ok((gone, lost))
    }

    fn line(&self, priority: u8, key: &str) -> String {
        format!("{}:{key}", self.keys[KEYS.len() + usize::from(priority.min(9))])
    }
}
