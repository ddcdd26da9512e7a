//! A queue over its connection: see [`crate::broker::BrokerQueue`].

use std::{collections::BTreeSet, time::Duration};

use ::redis::RedisResult;

use super::{super::namespace::RedisQueue, Place};
use crate::{
    JobId,
    broker::{BrokerJob, ClaimResult, LeaseRelease, Limits, Load, PushResult, ReapResult, Window},
};

impl RedisQueue {
    pub(crate) async fn push_within(
        &self,
        priority: u8,
        jobs: &[BrokerJob<'_>],
        window: Window,
    ) -> RedisResult<PushResult> {
        self.queue.push_within(&mut self.connection.conn(), priority, jobs, window).await
    }

    pub(crate) async fn claim(&self, lease: Duration, count: usize, from_lowest: bool) -> RedisResult<ClaimResult> {
        self.queue.claim(&mut self.connection.conn(), lease, count, from_lowest).await
    }

    pub(crate) async fn renew(&self, lease: Duration, held: &[(String, u64)]) -> RedisResult<Vec<String>> {
        self.queue.renew(&mut self.connection.conn(), lease, held).await
    }

    pub(crate) async fn ack(&self, done: &[(String, u64)]) -> RedisResult<()> {
        self.queue.ack(&mut self.connection.conn(), done).await
    }

    pub(crate) async fn release(
        &self,
        lease: Duration,
        max_deliveries: u32,
        releases: &[LeaseRelease],
    ) -> RedisResult<()> {
        self.queue.release(&mut self.connection.conn(), lease, max_deliveries, releases).await
    }

    pub(crate) async fn alone(&self, id: &str, number: u64) -> RedisResult<bool> {
        self.queue.alone(&mut self.connection.conn(), id, number).await
    }

    pub(crate) async fn reap(&self, max_deliveries: u32, lease: Duration) -> RedisResult<ReapResult> {
        self.queue.reap(&mut self.connection.conn(), max_deliveries, lease).await
    }

    pub(crate) async fn payload(&self, id: &str) -> RedisResult<Vec<u8>> {
        self.queue.payload(&mut self.connection.conn(), id).await
    }

    pub(crate) async fn known(&self, ids: &[JobId]) -> RedisResult<Vec<bool>> {
        let ids: Vec<String> = ids.iter().map(JobId::to_string).collect();
        self.queue.known(&mut self.connection.conn(), &ids).await
    }

    pub(crate) async fn are_leased(&self, lease: Duration, ids: &[JobId]) -> RedisResult<Vec<bool>> {
        self.queue.are_leased(&mut self.connection.conn(), lease, ids).await
    }

    pub(crate) async fn leased(&self, limit: usize) -> RedisResult<Vec<String>> {
        self.queue.leased(&mut self.connection.conn(), limit).await
    }

    pub(crate) async fn set_limits(&self, version: i64, paused: bool, limits: &Limits) -> RedisResult<bool> {
        self.queue.set_limits(&mut self.connection.conn(), version, paused, limits).await
    }

    pub(crate) async fn depth(&self) -> RedisResult<(u64, u64)> {
        self.queue.depth(&mut self.connection.conn()).await
    }

    pub(crate) async fn load(&self) -> RedisResult<Load> {
        self.queue.load(&mut self.connection.conn()).await
    }

    pub(crate) async fn set_lines_outside(&self, lines: &[(u8, &str)]) -> RedisResult<()> {
        self.queue.set_lines_outside(&mut self.connection.conn(), lines).await
    }

    pub(crate) async fn capacity(&self, window: u64, lines: &[(u8, &str)]) -> RedisResult<Vec<u64>> {
        self.queue.capacity(&mut self.connection.conn(), window, lines).await
    }

    pub(crate) async fn all_places(&self) -> RedisResult<BTreeSet<Place>> {
        self.queue.all_places(&mut self.connection.conn()).await
    }

    pub(crate) async fn ids_at(&self, places: &[(Place, usize)], count: usize) -> RedisResult<Vec<Vec<String>>> {
        self.queue.ids_at(&mut self.connection.conn(), places, count).await
    }

    pub(crate) async fn forget(
        &self,
        lease: Duration,
        seen: (&Place, usize, usize),
        ids: &[String],
    ) -> RedisResult<(Vec<String>, usize)> {
        self.queue.forget(&mut self.connection.conn(), lease, seen, ids).await
    }

    pub(crate) async fn withdraw(&self, lease: Duration, (priority, key): (u8, &str), id: JobId) -> RedisResult<bool> {
        let (id, line) = (id.to_string(), Place::ReadyList(priority, key.to_owned()));
        let (gone, _) = self.forget(lease, (&line, 0, 1), &[id]).await?;
        Ok(!gone.is_empty())
    }

    pub(crate) fn wake_key(&self) -> &str {
        self.queue.wake_key()
    }
}
