//! What a kind needs of a worker while a file is loaded: by what its rows are checked, what is looked up for them, what is
//! looked at before the close. What follows the close is the business of [`gristmill_kinds::hooks`].

use std::{collections::BTreeSet, sync::Arc};

use gristmill_clients::settings;
use gristmill_pipelines::{Kind, Owner, Rules};
use gristmill_queue::{Context, JobError};
use gristmill_uploads::UploadId;
use jiff::Timestamp;

use crate::{
    Env,
    close::too_large,
    load::{Chunk, reports},
};

/// The rules by which a chunk of this owner is checked: the common ones with the client's own.
pub(crate) async fn rules(env: &Env, kind: Kind, rules: Arc<Rules>, of: Owner) -> Result<Arc<Rules>, JobError> {
    match kind {
        Kind::Debts | Kind::Messages => Ok(rules),
        Kind::Claims => {
            let claims =
                settings::find(&env.pool, of.client_id.into()).await?.claims_of(moment_of(of.upload_id.into())?)?;
            Ok(Arc::new(Rules { claims, ..(*rules).clone() }))
        }
        Kind::Transactions => {
            let merchants = env.merchants.rules(&env.pool, of.client_id.into()).await?;
            Ok(Arc::new(Rules { merchants, ..(*rules).clone() }))
        }
    }
}

/// Whether the same bytes give the same rows: no rule of a client's, which may have changed, has a say. Those of the process alone
/// (whether a government id is checked) take rows or leave them, which is seen by how many there are.
pub(crate) fn is_read_alike(kind: Kind) -> bool {
    match kind {
        Kind::Debts | Kind::Messages => true,
        Kind::Claims | Kind::Transactions => false,
    }
}

/// Looks up what a chunk's rows mention that is kept elsewhere, before the chunk's transaction.
pub(crate) async fn look_up(env: &Env, chunk: &Chunk, mentions: &BTreeSet<String>) -> Result<(), JobError> {
    match chunk.kind {
        Kind::Debts | Kind::Claims | Kind::Transactions => Ok(()),
        Kind::Messages => reports::settle(env, chunk, mentions).await,
    }
}

/// Rejects what only the join can see, when every chunk is loaded. `true`: there are new rejects.
pub(crate) async fn before_close(
    env: &Env,
    context: &Context,
    kind: Kind,
    upload_id: UploadId,
) -> Result<bool, JobError> {
    match kind {
        Kind::Debts | Kind::Transactions | Kind::Messages => Ok(false),
        Kind::Claims => too_large::reject(env, context, upload_id).await,
    }
}

/// When the upload was made, which its id says: every attempt at a chunk, on whatever day, reads it alike.
fn moment_of(upload_id: UploadId) -> Result<Timestamp, JobError> {
    let Some(time) = upload_id.get().get_timestamp() else {
        return Err(JobError::discard(format!("upload {upload_id} has an id without a time")));
    };
    let (seconds, nanos) = time.to_unix();
    Ok(Timestamp::new(seconds.cast_signed(), nanos.cast_signed())?)
}
