//! A sign of life: that no scheduler runs is seen on the dashboard only by its absence.

use sqlx::PgPool;

/// Says that a scheduler is there now.
pub(crate) async fn leave(pool: &PgPool) -> anyhow::Result<()> {
    sqlx::query(
        "insert into role_signs (role, seen_at) values ('scheduler', clock_timestamp())
         on conflict (role) do update set seen_at = excluded.seen_at",
    )
    .execute(pool)
    .await?;
    Ok(())
}
