//! Claims of a file that come to more than an amount may be. No chunk sees a claim whole, so it is the join that makes
//! rejects of their lines: of all lines of such a claim, as a claim is entered with all its lines or not at all.

use std::collections::{HashMap, HashSet};

use gristmill_claims::enter::{self, TooMuch};
use gristmill_pipelines::{MAX_AMOUNT_MINOR, ReasonCode, decimal};
use gristmill_queue::{Context, Fence, JobError};
use gristmill_uploads::{State, UploadId, state};
use sqlx::PgConnection;
use uuid::Uuid;

use super::records::{self, Loaded};
use crate::{
    Env,
    load::{self, Chunk, KeptRejects, RejectedRecord},
};

/// Takes such claims' lines out of the rows that count. `true`: there were some, and they are rejects now.
pub(crate) async fn reject(env: &Env, context: &Context, upload_id: UploadId) -> Result<bool, JobError> {
    let mut tx = env.pool.begin().await?;
    if let Fence::AlreadyDone = env.queue.lock(&mut tx, &context.claim).await? {
        return Err(JobError::Cancelled);
    }
    if state::lock(&mut tx, upload_id).await? != Some(State::Processing) {
        return Err(JobError::Cancelled);
    }
    let claims = enter::too_much(&mut tx, upload_id).await?;
    if claims.is_empty() {
        return Ok(false);
    }
    let ids: Vec<Uuid> = claims.iter().map(|claim| claim.claim_id).collect();
    let mut lines = enter::take_out(&mut tx, upload_id, &ids).await?;
    lines.sort_unstable();
    let messages: HashMap<Uuid, String> = claims.iter().map(|claim| (claim.claim_id, message(claim))).collect();
    let chunks: Vec<(i32, i64)> =
        sqlx::query_as("select no, first_line from chunks where upload_id = $1 order by first_line, no")
            .bind(upload_id)
            .fetch_all(&mut *tx)
            .await?;
    let poisoned = records::poisoned(&mut *tx, upload_id).await?;
    let mut places = None;
    let mut rest = lines.as_slice();
    for (n, (no, _)) in chunks.iter().enumerate() {
        let end = chunks.get(n + 1).map_or(rest.len(), |(_, next)| rest.partition_point(|(line, _)| line < next));
        let (of_chunk, behind) = rest.split_at(end);
        rest = behind;
        if !of_chunk.is_empty() {
            move_over(env, &mut tx, (upload_id, *no), of_chunk, &messages, &poisoned, &mut places).await?;
        }
    }
    tx.commit().await?;
    tracing::info!(%upload_id, claims = claims.len(), lines = lines.len(), "claims that come to too much are rejects");
    Ok(true)
}

/// Makes rejects of these lines of a chunk; `places`: of how many more the upload keeps the record.
async fn move_over(
    env: &Env,
    conn: &mut PgConnection,
    (upload_id, no): (UploadId, i32),
    lines: &[(i64, Uuid)],
    messages: &HashMap<Uuid, String>,
    poisoned: &HashSet<i32>,
    places: &mut Option<u64>,
) -> Result<(), JobError> {
    let chunk = Chunk::find(env, upload_id, no).await?.ok_or(JobError::Cancelled)?;
    let free = *places.get_or_insert(chunk.max_rejects.saturating_sub(chunk.kept_before));
    let loaded = records::of_chunk(env, chunk, lines.iter().map(|(line, _)| *line).collect(), poisoned).await?;
    let mut refused: Vec<RejectedRecord> = lines
        .iter()
        .zip(loaded)
        .map(|((_, claim), Loaded { line, raw, .. })| RejectedRecord {
            line: line.unsigned_abs(),
            column: None,
            code: ReasonCode::ClaimTooLarge,
            message: messages.get(claim).cloned(),
            others: Vec::new(),
            raw,
            first: None,
            differs: Vec::new(),
        })
        .collect();
    let kept = KeptRejects::places(&mut refused, free);
    *places = Some(free - refused.len() as u64);
    load::refuse(conn, upload_id, no, &refused).await?;
    kept.note(conn, upload_id, no).await?;
    recount(conn, (upload_id, no), lines.len() as u64, refused.len() as u64).await?;
    Ok(())
}

/// So many accepted rows of a chunk are rejects, of which some are kept.
async fn recount(
    conn: &mut PgConnection,
    (upload_id, no): (UploadId, i32),
    lines: u64,
    kept: u64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "with chunk as (
             update chunks set accepted = accepted - $3, rejected = rejected + $3, unkept = unkept + $3 - $4
             where upload_id = $1 and no = $2 returning upload_id
         )
         update upload_progress p
         set accepted = p.accepted - $3, loaded = p.loaded - $3, rejected = p.rejected + $3,
             kept_rejects = p.kept_rejects + $4, unkept = p.unkept + $3 - $4
         from chunk where p.upload_id = chunk.upload_id",
    )
    .bind(upload_id)
    .bind(no)
    .bind(lines.cast_signed())
    .bind(kept.cast_signed())
    .execute(conn)
    .await?;
    Ok(())
}

fn message(claim: &TooMuch) -> String {
    let TooMuch { lines, net_fee_minor, plan_group, .. } = claim;
    let paid = plan_group.as_ref().map_or_else(String::new, |plan| format!(" that the plan {plan:?} pays"));
    format!(
        "the {lines} lines of its claim{paid} come to {}, and what a claim comes to is at most {}, or as much below zero: \
         none of its lines is taken",
        decimal(net_fee_minor.0),
        decimal(MAX_AMOUNT_MINOR),
    )
}
