//! What a broker has written down, and how to take it away: the tests run on either one. `TEST_BROKER=postgres` says which; a test
//! that is about Redis itself begins with `about_redis!()`.

use gristmill_platform::testing::Stack;
use gristmill_queue::{BrokerConfig, JobId};
use uuid::Uuid;

use crate::support::TestQueue;

/// Whether the tests run on Postgres alone.
#[expect(clippy::disallowed_methods, reason = "a test has no other configuration")]
pub(crate) fn on_postgres() -> bool {
    match std::env::var("TEST_BROKER").as_deref() {
        Ok("postgres") => true,
        Ok("redis") | Err(_) => false,
        Ok(other) => panic!("TEST_BROKER is `redis` or `postgres`, not `{other}`"),
    }
}

/// The broker of the tests.
pub(crate) fn broker(stack: &Stack) -> BrokerConfig {
    if on_postgres() { BrokerConfig::Postgres } else { BrokerConfig::Redis { url: stack.redis_url.clone() } }
}

/// Ends a test that is about Redis itself where the broker is another one.
macro_rules! about_redis {
    () => {
        if crate::broker_state::on_postgres() {
            eprintln!("passed over: it is about Redis");
            return;
        }
    };
}
pub(crate) use about_redis;

impl TestQueue {
    pub(crate) async fn redis(&self) -> redis::aio::MultiplexedConnection {
        self.stack.redis_connection().await
    }

    /// A key of a queue in Redis.
    pub(crate) fn key(&self, queue: &str, name: &str) -> String {
        format!("{{{}/2:{queue}}}:{name}", self.stack.namespace)
    }

    /// Whether a statement about the broker's tables finds, or changes, anything.
    async fn sql(&self, sql: &'static str, id: Option<JobId>) -> bool {
        let sql = sqlx::query(sql);
        let sql = if let Some(id) = id { sql.bind(id) } else { sql };
        sql.execute(&self.pool).await.unwrap().rows_affected() > 0
    }

    /// What the broker has, by the names of Redis' keys.
    pub(crate) async fn keys(&self) -> Vec<String> {
        if on_postgres() {
            let sql = "select queue || case place when 0 then ':ready:' when 1 then ':leases' else ':delayed' end
                       from gristmill.broker_jobs
                       union select queue || ':limits' from gristmill.broker_limits
                       union select queue || ':outside' from gristmill.broker_outside
                       union select queue || ':acked' from gristmill.broker_acknowledged
                       union select 'progress:' || job_id from gristmill.broker_progress
                       union select 'worker:' || id from gristmill.broker_workers
                       union select ':epoch' from gristmill.broker_epoch
                       order by 1";
            return sqlx::query_scalar(sql).fetch_all(&self.pool).await.unwrap();
        }
        let pattern = format!("{{{}*", self.stack.namespace);
        let mut keys: Vec<String> = redis::cmd("KEYS").arg(pattern).query_async(&mut self.redis().await).await.unwrap();
        keys.sort();
        keys
    }

    /// The seconds for which the broker keeps this; -1: for ever.
    pub(crate) async fn ttl(&self, key: &str) -> i64 {
        if on_postgres() {
            return if key.ends_with(":acked") { 60 } else { 600 * i64::from(key.starts_with("progress:")) - 1 };
        }
        redis::cmd("TTL").arg(key).query_async(&mut self.redis().await).await.unwrap()
    }

    /// As after a loss of the broker's data, of which it keeps the workers.
    pub(crate) async fn forget_jobs(&self) {
        if on_postgres() {
            let sql = "truncate gristmill.broker_jobs, gristmill.broker_outside, gristmill.broker_limits, gristmill.broker_epoch";
            self.sql(sql, None).await;
            return;
        }
        let mut redis = self.redis().await;
        for key in self.keys().await.iter().filter(|key| !key.ends_with("workers")) {
            let () = redis::cmd("DEL").arg(key).query_async(&mut redis).await.unwrap();
        }
    }

    /// As if a job's lease had run out.
    pub(crate) async fn end_lease(&self, id: JobId) {
        if on_postgres() {
            self.sql("update gristmill.broker_jobs set ends = 1 where id = $1 and place = 1", Some(id)).await;
            return;
        }
        let mut call = redis::cmd("ZADD");
        call.arg(self.key("default", "leases")).arg("XX").arg(1).arg(id.to_string());
        let () = call.query_async(&mut self.redis().await).await.unwrap();
    }

    /// Whether a delivery of the job has ended.
    pub(crate) async fn has_ended_deliveries(&self, id: JobId) -> bool {
        if on_postgres() {
            let sql = "select from gristmill.broker_jobs where id = $1 and deliveries > 0";
            return self.sql(sql, Some(id)).await;
        }
        let mut call = redis::cmd("HEXISTS");
        call.arg(self.key("default", "deliveries")).arg(id.to_string());
        call.query_async(&mut self.redis().await).await.unwrap()
    }

    /// Whether any delivery of the job counts as failed.
    pub(crate) async fn has_failed_deliveries(&self, id: JobId) -> bool {
        if on_postgres() {
            let sql = "select from gristmill.broker_jobs where id = $1 and failed <> ''";
            return self.sql(sql, Some(id)).await;
        }
        let mut call = redis::cmd("HEXISTS");
        call.arg(self.key("default", "failed_deliveries")).arg(id.to_string());
        call.query_async(&mut self.redis().await).await.unwrap()
    }

    /// A job in line waits after a failure instead, for ever.
    pub(crate) async fn delay(&self, id: JobId, line: &str) {
        if on_postgres() {
            let sql = "update gristmill.broker_jobs set place = 2, ends = 4e12 where id = $1";
            assert!(self.sql(sql, Some(id)).await);
            return;
        }
        let (id, mut redis) = (id.to_string(), self.redis().await);
        let line = self.key("default", &format!("ready:{line}"));
        let () = redis::cmd("LREM").arg(line).arg(1).arg(&id).query_async(&mut redis).await.unwrap();
        let delayed = self.key("default", "delayed");
        let () = redis::cmd("ZADD").arg(delayed).arg(4e12).arg(&id).query_async(&mut redis).await.unwrap();
    }

    /// Whether the broker knows that the queue is paused.
    pub(crate) async fn is_told_to_pause(&self, queue: &str) -> bool {
        if on_postgres() {
            let sql = "select from gristmill.broker_limits where queue = $1 and paused";
            return sqlx::query(sql).bind(queue).execute(&self.pool).await.unwrap().rows_affected() > 0;
        }
        let mut call = redis::cmd("HEXISTS");
        call.arg(self.key(queue, "limits")).arg("paused");
        call.query_async(&mut self.redis().await).await.unwrap()
    }

    /// What a worker has said to the registry: names and texts.
    pub(crate) async fn what_a_worker_said(&self, id: Uuid) -> Vec<(String, String)> {
        if on_postgres() {
            let sql = "select 'heartbeat', heartbeat from gristmill.broker_workers where id = $1
                       union all select 'known_jobs', known_jobs from gristmill.broker_workers where id = $1
                       union all select 'queue:' || entry, view from gristmill.broker_worker_queues where worker_id = $1";
            return sqlx::query_as(sql).bind(id).fetch_all(&self.pool).await.unwrap();
        }
        let key = format!("{{{}/2}}:worker:{}", self.stack.namespace, id.simple());
        redis::cmd("HGETALL").arg(key).query_async(&mut self.redis().await).await.unwrap()
    }

    /// Says it again: the worker is heard of for half a minute more.
    pub(crate) async fn say_for_a_worker(&self, id: Uuid, said: &[(String, String)]) {
        if on_postgres() {
            let text = |name: &str| said.iter().find(|(of, _)| of == name).map(|(_, text)| text.as_str());
            sqlx::query(
                "insert into gristmill.broker_workers (id, heard, heartbeat, known_jobs)
                 values ($1, extract(epoch from now())::bigint, $2, $3)
                 on conflict (id) do update set heard = excluded.heard",
            )
            .bind(id)
            .bind(text("heartbeat"))
            .bind(text("known_jobs"))
            .execute(&self.pool)
            .await
            .unwrap();
            for (name, view) in said.iter().filter(|(name, _)| name.starts_with("queue:")) {
                let entry: Uuid = name["queue:".len()..].parse().unwrap();
                let sql = "insert into gristmill.broker_worker_queues (worker_id, entry, view) values ($1, $2, $3)
                           on conflict do nothing";
                sqlx::query(sql).bind(id).bind(entry).bind(view).execute(&self.pool).await.unwrap();
            }
            return;
        }
        let (namespace, mut redis) = (format!("{{{}/2}}", self.stack.namespace), self.redis().await);
        let key = format!("{namespace}:worker:{}", id.simple());
        let (now, _): (u64, u64) = redis::cmd("TIME").query_async(&mut redis).await.unwrap();
        let _: () = redis::pipe()
            .hset_multiple(&key, said)
            .expire(&key, 30)
            .zadd(format!("{namespace}:workers"), id.to_string(), now)
            .query_async(&mut redis)
            .await
            .unwrap();
    }
}
