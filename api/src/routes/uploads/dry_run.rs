//! A file that is read whole and not taken: what a load of it would come to.

use bytes::Bytes;
use futures::{Stream, StreamExt as _};
use gristmill_clients::settings;
use gristmill_pipelines::{Check, Checked, IntakeError, Kind, Limits, Rules, Said};
use gristmill_uploads::{FileText, ReceiveError, profiles, text_of};
use jiff::Timestamp;

use super::create::{busy, problem};
use crate::{
    app::AppState,
    auth::Caller,
    body::BodyError,
    problem::{Problem, Result},
};

/// Bytes that are read at a time, away from the threads that serve requests.
const PIECE: usize = 1 << 20;

/// Reads the file to its end. What is kept elsewhere is not looked at: rows of earlier uploads, reports, what claims add up to.
pub(super) async fn check<S>(app: &AppState, caller: &Caller, kind: Kind, said: Said, file: S) -> Result<Checked>
where
    S: Stream<Item = Result<Bytes, BodyError>> + Send + Unpin + 'static,
{
    let _permit = app
        .checking
        .try_acquire()
        .map_err(|_| busy("As many files are being checked as the server checks at the same time."))?;
    let limits = &app.uploads.limits;
    let max_record_bytes = usize::try_from(limits.max_record_bytes).unwrap_or(usize::MAX);
    let of_header = Limits { max_columns: limits.max_columns, max_record_bytes };
    let FileText { within, mut text, .. } = text_of(&app.uploads.spool, limits, &said, file).await.map_err(problem)?;
    let profiles = profiles::by_header(&app.pool, caller.id(), kind, &said).await?;
    let mut check = Check::new(kind, said, of_header, rules(app, caller, kind).await?).knowing(profiles);
    if let Some(within) = within {
        check = check.within(within);
    }
    let (mut piece, mut bytes) = (Vec::new(), 0);
    while let Some(frame) = text.next().await {
        let frame = frame.map_err(problem)?;
        bytes += frame.len() as u64;
        if bytes > limits.max_file_bytes {
            return Err(problem(ReceiveError::TooLarge { limit: limits.max_file_bytes, upload_id: None }));
        }
        piece.extend_from_slice(&frame);
        if piece.len() >= PIECE {
            check = push(app, check, std::mem::take(&mut piece)).await?;
        }
    }
    let check = push(app, check, piece).await?;
    read(app, move || check.finish()).await
}

async fn push(app: &AppState, mut check: Check, piece: Vec<u8>) -> Result<Check> {
    read(app, move || check.push(&piece).map(|()| check)).await
}

/// Reads a piece away from the threads that serve requests, when it is its turn: a file that arrives slowly keeps none waiting.
async fn read<T: Send + 'static>(
    app: &AppState,
    read: impl FnOnce() -> std::result::Result<T, IntakeError> + Send + 'static,
) -> Result<T> {
    let _turn = app.check_pieces.acquire().await.map_err(Problem::internal)?;
    let result = tokio::task::spawn_blocking(read).await.map_err(Problem::internal)?;
    result.map_err(|error| problem(error.into()))
}

/// The server's, with those of the client that may refuse a row: its rules for merchants refuse none.
async fn rules(app: &AppState, caller: &Caller, kind: Kind) -> Result<Rules> {
    let rules = Rules { check_government_id: app.uploads.limits.check_government_id, ..Rules::default() };
    match kind {
        Kind::Claims => {
            let settings = settings::find(&app.pool, caller.id()).await?;
            let claims = settings.claims_of(Timestamp::now()).map_err(Problem::internal)?;
            Ok(Rules { claims, ..rules })
        }
        Kind::Debts | Kind::Transactions | Kind::Messages => Ok(rules),
    }
}
