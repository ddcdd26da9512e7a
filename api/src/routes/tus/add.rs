use std::time::Duration;

use axum::{
    body::Body,
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures::StreamExt as _;
use gristmill_queue::trace;
use gristmill_uploads::resumable::{self, PIECE_BYTES, Piece, Resumable, Writer};
use http::{HeaderMap, HeaderValue, StatusCode, header};

use super::{
    AboutResumable, Names, Reading,
    begin::fits,
    checksum::Checksum,
    finish::{is_passing, refuse},
    headers,
};
use crate::{
    app::AppState,
    body::{BodyError, TimeoutBody},
    openapi::{NotResumable, NotTaken},
    params::bad_header,
    problem::{Code, Problem, Result},
    routes::uploads::busy,
};

/// How often a request looks whether another one has taken its place.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// What bodies of bytes are.
const MEDIA_TYPE: &[u8] = b"application/offset+octet-stream";

/// Go on with a resumable upload
///
/// The body begins where the upload ends. What has arrived of it is kept, also when it breaks off, unless it has a checksum: then all of it is
/// or nothing. The request that brings the last byte is answered when the file is read in, and then as `POST /v1/uploads` is when it is refused.
#[utoipa::path(patch, path = "/v1/tus/{id}", operation_id = "patchTusUpload", tag = "uploads",
    params(("id" = Uuid, Path, description = "The resumable upload"),
        ("Tus-Resumable" = String, Header, description = "`1.0.0`"),
        ("Upload-Offset" = i64, Header, minimum = 0, description = "Bytes that have arrived, as HEAD says"),
        ("Upload-Length" = Option<i64>, Header, minimum = 0, description = "Bytes that it will have, when that was deferred"),
        ("Upload-Checksum" = Option<String>, Header, description = "`sha1`, `sha256` or `sha512`, a space and the body's checksum in Base64")),
    request_body(content((super::super::uploads::RawFile = "application/offset+octet-stream"))),
    responses((status = 204, description = "It is kept: `Upload-Offset` says up to where. `Gristmill-Upload`: the upload that it became"), NotTaken, NotResumable))]
pub(crate) async fn add(about: AboutResumable, headers: HeaderMap, body: Body) -> Result<Response> {
    let offset = headers::bytes(&headers, &Names::OFFSET)?.ok_or_else(|| bad_header(&Names::OFFSET, "missing"))?;
    let length = headers::bytes(&headers, &Names::LENGTH)?;
    let checksum = Checksum::of(&headers)?;
    let mut file = about.find().await?;
    if file.parts.is_some() {
        return Err(bad_header(&Names::CONCAT, "the upload is put together of parts: nothing can be added to it"));
    }
    if file.received != offset {
        return Err(elsewhere(&file));
    }
    if file.is_whole() {
        let file = about.finished(file).await?;
        return Ok((StatusCode::NO_CONTENT, headers::of(&file)).into_response());
    }
    match (file.length, length) {
        (Some(known), Some(said)) if known != said => {
            return Err(bad_header(&Names::LENGTH, format!("the upload has {known} bytes, which does not change")));
        }
        (None, Some(said)) if said < file.received => {
            return Err(bad_header(&Names::LENGTH, format!("{} bytes have arrived already", file.received)));
        }
        (None, Some(said)) => file.length = Some(fits(said, about.app.uploads.limits.max_file_bytes)?),
        _ => {}
    }
    let file = Adding { about, file, checksum }.run(&headers, body).await?;
    Ok((StatusCode::NO_CONTENT, headers::of(&file)).into_response())
}

/// Bytes that are added to a file where it ends.
pub(super) struct Adding {
    pub(super) about: AboutResumable,
    /// With the length that the request says.
    pub(super) file: Resumable,
    pub(super) checksum: Option<Checksum>,
}

impl Adding {
    /// Keeps the body, and reads the file in when it is whole then.
    pub(super) async fn run(self, headers: &HeaderMap, body: Body) -> Result<Resumable> {
        if headers.get(header::CONTENT_TYPE).is_none_or(|media_type| media_type.as_bytes() != MEDIA_TYPE) {
            return Err(Problem::new(
                Code::WrongMediaType,
                "The body's Content-Type is not application/offset+octet-stream, as bytes of a resumable upload are sent.",
            ));
        }
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
        if announced.is_some_and(|bytes| bytes > self.room()) {
            return Err(self.too_long());
        }
        let app = self.about.app.clone();
        let permit = app.receiving.clone().try_acquire_owned().map_err(|_| {
            let limit = app.uploads.limits.max_receiving;
            busy(&format!("{limit} uploads are arriving, and no more are taken at once."))
        })?;
        let Resumable { id, received, length, .. } = self.file;
        let Some(writer) = resumable::write_at(&app.pool, id, received, length).await? else {
            return Err(elsewhere(&self.about.find().await?));
        };
        let revoked = app.revocations.watch(self.about.caller.key());
        let body = TimeoutBody::new(body, &app.config, app.stop_bodies.clone(), revoked);
        // On a task of its own: what has arrived is kept even if the client hangs up.
        let adding = tokio::spawn(trace::carry(async move {
            let _held = permit;
            let Self { about, file, checksum } = self;
            // Read in at once what this request ends: its first rows are loaded before its last have come.
            let ends = file.length.is_some() && announced.is_none_or(|bytes| bytes == room(&about.app, &file));
            let reading = match ends && checksum.is_none() && !file.is_part() {
                true => Some(Reading::begin(&about.app, &file).await?),
                false => None,
            };
            let start = file.received;
            let (file, reading) = Pieces::new(&about.app, writer, file, checksum, reading).keep(body).await?;
            if file.is_whole() && !file.is_part() && file.received > start {
                return about.read(file, writer.reader(), reading).await;
            }
            about.finished(file).await
        }));
        adding.await.map_err(Problem::internal)?
    }

    /// Bytes that may still come.
    fn room(&self) -> u64 {
        room(&self.about.app, &self.file)
    }

    fn too_long(&self) -> Problem {
        too_long(self.room())
    }
}

fn room(app: &AppState, file: &Resumable) -> u64 {
    let end = file.length.map_or(app.uploads.limits.max_file_bytes, i64::unsigned_abs);
    end.saturating_sub(file.received.unsigned_abs())
}

fn too_long(room: u64) -> Problem {
    Problem::new(
        Code::TooLarge,
        format!("The body is longer than the {room} bytes that the upload lacks, or may have."),
    )
}

fn elsewhere(file: &Resumable) -> Problem {
    Problem::new(
        Code::OffsetMismatch,
        format!("{} bytes of the upload have arrived, and it goes on there, by one request at a time.", file.received),
    )
    .header(Names::OFFSET, HeaderValue::from(file.received))
}

/// A body that is kept piece by piece.
struct Pieces<'a> {
    app: &'a AppState,
    writer: Writer,
    file: Resumable,
    checksum: Option<Checksum>,
    room: u64,
    frames: Vec<Bytes>,
    held: usize,
    /// Stored, and entered when the checksum is right.
    waiting: Vec<Piece>,
    /// What reads in what is entered.
    reading: Option<Reading>,
}

impl<'a> Pieces<'a> {
    fn new(
        app: &'a AppState,
        writer: Writer,
        file: Resumable,
        checksum: Option<Checksum>,
        reading: Option<Reading>,
    ) -> Self {
        let room = room(app, &file);
        Self { app, writer, file, checksum, room, frames: Vec::new(), held: 0, waiting: Vec::new(), reading }
    }

    async fn keep(mut self, mut body: TimeoutBody) -> Result<(Resumable, Option<Reading>)> {
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            let frame = tokio::select! {
                frame = body.next() => frame,
                _ = look.tick() => {
                    self.still_writes().await?;
                    if self.reading.as_ref().is_some_and(Reading::is_over) {
                        self.give_up_reading().await?;
                    }
                    continue;
                }
            };
            match frame {
                Some(Ok(frame)) => self.push(frame).await?,
                Some(Err(error)) => return Err(self.broken(&error).await),
                None => break,
            }
        }
        self.store().await?;
        if let Some(checksum) = self.checksum.take() {
            checksum.check()?;
            self.enter().await?;
        }
        Ok((self.file, self.reading))
    }

    async fn push(&mut self, frame: Bytes) -> Result<()> {
        let Some(left) = self.room.checked_sub(frame.len() as u64) else { return Err(too_long(self.room)) };
        self.room = left;
        if let Some(checksum) = &mut self.checksum {
            checksum.update(&frame);
        }
        self.held += frame.len();
        self.frames.push(frame);
        if self.held >= PIECE_BYTES {
            self.store().await?;
        }
        Ok(())
    }

    /// A client that is silent may go on elsewhere: what is read in here would keep the file from being read in there.
    async fn still_writes(&self) -> Result<()> {
        match self.writer.may_write(&self.app.pool).await {
            Ok(false) => Err(elsewhere(&self.file)),
            Ok(true) => Ok(()),
            Err(error) => {
                tracing::warn!(resumable_id = %self.file.id, %error, "it is not known whether a request still writes");
                Ok(())
            }
        }
    }

    /// What has come before the break is kept; without its end a checksum says nothing of it.
    async fn broken(mut self, error: &BodyError) -> Problem {
        self.reading = None;
        if self.checksum.is_none()
            && let Err(problem) = self.store().await
        {
            return problem;
        }
        let (kept, code) = (self.file.received, error.problem(None).code());
        Problem::new(
            code,
            format!("The body did not come to its end: {error}. {kept} bytes of the upload are kept: go on there."),
        )
        .header(Names::OFFSET, HeaderValue::from(kept))
    }

    async fn store(&mut self) -> Result<()> {
        if self.held == 0 {
            return Ok(());
        }
        let frames = std::mem::take(&mut self.frames);
        self.held = 0;
        let stored = resumable::store_piece(&*self.app.uploads.store, self.writer.of(), frames.clone()).await;
        self.waiting.push(stored.map_err(Problem::unavailable)?);
        if self.checksum.is_some() {
            return Ok(());
        }
        self.enter().await?;
        self.read_on(frames).await
    }

    async fn read_on(&mut self, frames: Vec<Bytes>) -> Result<()> {
        if let Some(reading) = &self.reading
            && !reading.push(frames).await
        {
            return self.give_up_reading().await;
        }
        Ok(())
    }

    /// What is refused is not sent to its end. What cannot be read in for now is read in when it is whole.
    async fn give_up_reading(&mut self) -> Result<()> {
        let Some(reading) = self.reading.take() else { return Ok(()) };
        match reading.over().await {
            Err(problem) if !is_passing(&problem) && problem.code() != Code::IncompleteUpload => {
                Err(refuse(self.app, &self.file, self.writer.reader(), problem).await?)
            }
            _ => Ok(()),
        }
    }

    async fn enter(&mut self) -> Result<()> {
        let pieces = std::mem::take(&mut self.waiting);
        let keep = self.app.uploads.limits.keep_resumable;
        if !self.writer.enter(&self.app.pool, self.file.received, &pieces, keep).await? {
            return Err(elsewhere(&self.file));
        }
        self.file.received += pieces.iter().map(|piece| piece.bytes).sum::<i64>();
        Ok(())
    }
}
