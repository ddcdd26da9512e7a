use http::StatusCode;

/// The problems this API knows. Codes are a wire format: never renamed.
macro_rules! codes {
    ($($variant:ident = $status:ident $code:literal, $title:literal, $help:literal;)+) => {
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Code { $($variant),+ }

        impl Code {
            pub(crate) const ALL: &'static [Self] = &[$(Self::$variant),+];

            pub(crate) const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code),+ }
            }

            const fn known_status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status),+ }
            }

            pub(crate) const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title),+ }
            }

            /// What happened and what to do, for the page at its address.
            pub(crate) const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help),+ }
            }
        }
    };
}

codes! {
    Unauthorized = UNAUTHORIZED "unauthorized", "A valid key is needed",
        "Send the header `Authorization: Bearer gm_…` with a key that `gristmill keys create --client NAME` made and that was not revoked.";
    Forbidden = FORBIDDEN "forbidden", "The key may not do this",
        "Queues, workers, schedules and the jobs of other clients are for operators' keys. `gristmill keys create --client NAME --operator` makes one.";
    NotFound = NOT_FOUND "not-found", "There is nothing here",
        "The address is wrong, or what it names does not exist or belongs to another client. `/docs` lists the routes.";
    MethodNotAllowed = METHOD_NOT_ALLOWED "method-not-allowed", "This route does not take this method",
        "The header `Allow` lists the methods that this route takes; `/docs` says what each does.";
    InvalidParameter = BAD_REQUEST "invalid-parameter", "A parameter is wrong",
        "`errors` names each query parameter or header at fault and what it may be.";
    InvalidBody = BAD_REQUEST "invalid-body", "The body is not as it should be",
        "A JSON body is what `/docs` says of the route; `errors` names the field at fault. A multipart body needs one part named `file`, the last one; parts that set parameters (`kind`, `policy`, `filename`, `force` and those that say how the file is written) come before it.";
    NoObject = UNPROCESSABLE_ENTITY "no-object", "The body is no JSON object",
        "The route takes one JSON object, `{ … }`: not nothing, an array, a text or a number. Nothing was changed. Send `{}` where every field may be left out and that is what you mean; a PUT names one field at least.";
    BodyTooLarge = PAYLOAD_TOO_LARGE "body-too-large", "The body is larger than this route takes",
        "A body that is no file has at most 2 MiB. Send less at once: batches have several requests.";
    BodyTooSlow = REQUEST_TIMEOUT "body-too-slow", "The body arrives too slowly",
        "A body that is no file must be whole within the time that the server's setting `GRISTMILL_HEADER_TIMEOUT` says. Nothing was done: send it again.";
    UnsupportedEncoding = UNSUPPORTED_MEDIA_TYPE "unsupported-encoding", "This content encoding is not supported",
        "Send the file plain, or with one `Content-Encoding`: `gzip` or `zstd`, the latter with a window of 8 MiB at most (that is, without `--long` and `--ultra`).";
    CorruptEncoding = BAD_REQUEST "corrupt-encoding", "The compressed body is damaged",
        "The body does not decompress, or ends too early. The upload has failed and nothing of it stays. Check that the file is what `Content-Encoding` says, compress it again and send it again.";
    CompressionRatio = UNPROCESSABLE_ENTITY "compression-ratio", "The body unpacks to far too much",
        "Beyond its first 8 MiB, a body may unpack to so many times its size as the server's setting says, 200 unless changed: real files of records stay below 50. The upload has failed and nothing of it stays. Send the file plain, or have the limit raised.";
    TooMuchUnderWay = TOO_MANY_REQUESTS "too-much-under-way", "Too much of this client is under way",
        "The files of a client that still arrive or are worked on may have so many bytes together as the server's setting says. Nothing of this one stays. Wait until others are completed, then send it again.";
    IncompleteUpload = BAD_REQUEST "incomplete-upload", "The body broke off",
        "The connection ended before the body did. The upload has failed and nothing of it stays: send the file again.";
    UploadTimeout = REQUEST_TIMEOUT "upload-timeout", "The body stopped arriving",
        "Nothing of the body arrived for too long. The upload has failed and nothing of it stays: send the file again.";
    UploadTooSlow = REQUEST_TIMEOUT "upload-too-slow", "The body arrives too slowly",
        "Less of the body arrived than the server's setting asks for, so the upload has failed and nothing of it stays. Send the file compressed, or over a better line.";
    UnsupportedCharset = UNSUPPORTED_MEDIA_TYPE "unsupported-charset", "This character set is not supported",
        "The `charset` of `Content-Type` names no encoding that is read. Send the one that the file is written in, such as `utf-8` or `windows-1252`, or none: then it is found.";
    WrongHeader = UNPROCESSABLE_ENTITY "wrong-header", "The file's header is wrong",
        "The first record must name the kind's columns, in any order and capitalisation; or every line is a JSON object, the first one too. `errors` names the columns at fault.";
    WrongFormat = UNPROCESSABLE_ENTITY "wrong-format", "The file is not one of rows",
        "A file is CSV with commas, semicolons, tabs or pipes, or lines of JSON, in an encoding that can be found or is said with `encoding`. `detail` says what this one is, and how to make the other of it.";
    AmbiguousFile = UNPROCESSABLE_ENTITY "ambiguous-file", "The file can be read in more than one way",
        "Nothing in the file says for certain how it is meant, so it is not loaded. `questions` names each parameter that says it, what it may say, and lines of the file that show the question. Send the file again with that parameter: `dates=dmy`, for instance.";
    BadContainer = UNPROCESSABLE_ENTITY "bad-container", "No table can be read of the archive or the workbook",
        "A ZIP archive holds a file of rows, a workbook (.xlsx, .ods) a sheet of them. `detail` says why this one is not read: it is damaged, encrypted, another kind of document, or larger when it is unpacked than files may be. Send the table as CSV if nothing else helps.";
    SpoolFull = SERVICE_UNAVAILABLE "spool-full", "There is no room for another archive or workbook",
        "An archive or a workbook is on the server's disk until it has arrived whole, and those that arrive fill the room of `GRISTMILL_MAX_SPOOL_BYTES`. Nothing of it stays. Wait as `Retry-After` says and send it again.";
    NotFetched = UNPROCESSABLE_ENTITY "not-fetched", "The file cannot be fetched",
        "The address does not answer with a file, leads to where the server does not call, or does not say where the file ends. `detail` says which. Nothing of it stays. Check the address, and that its signature, if it has one, is still valid.";
    FetchBroken = BAD_GATEWAY "fetch-broken", "The file could not be fetched to its end",
        "Where the file is did not answer, failed, or broke off and did not go on with the same file. Nothing of it stays: ask for it again.";
    WrongChecksum = UNPROCESSABLE_ENTITY "wrong-checksum", "The file has another checksum",
        "The SHA-256 of the bytes that came, as they came, is not the `sha256` that was given. Nothing of the file stays. Check which of the two is right, and ask for it again.";
    EmptyFile = UNPROCESSABLE_ENTITY "empty-file", "The file is empty",
        "A file has at least a header record. Check what was sent: an empty body is often a wrong path in a script.";
    TooLarge = PAYLOAD_TOO_LARGE "too-large", "The file is larger than this server takes",
        "The limit is a setting of the server and counts bytes after decompression. Split the file, or have the limit raised.";
    TusVersion = PRECONDITION_FAILED "tus-version", "This version of tus is not spoken here",
        "Resumable uploads at `/v1/tus` are those of tus 1.0.0: send `Tus-Resumable: 1.0.0` with each request. `OPTIONS /v1/tus` says what is spoken.";
    WrongMediaType = UNSUPPORTED_MEDIA_TYPE "wrong-media-type", "The body is not of the media type that this takes",
        "The bytes of a resumable upload are sent as `Content-Type: application/offset+octet-stream`. Nothing was taken.";
    OffsetMismatch = CONFLICT "offset-mismatch", "The upload does not go on at this offset",
        "A request adds to a resumable upload where it ends, and one request at a time. Ask with HEAD how much has arrived (`Upload-Offset`) and go on from there.";
    ChecksumMismatch = BAD_REQUEST "checksum-mismatch", "The body is not what its checksum says",
        "The bytes that arrived have another checksum than `Upload-Checksum` says, so nothing of this request is kept. Send it again.";
    UploadLocked = LOCKED "upload-locked", "The upload is being read in",
        "All of it has arrived and it is read in now, by this process or another one. Ask again as `Retry-After` says: the answer then says which upload it became.";
    UploadExpired = GONE "upload-expired", "The upload has expired",
        "Nothing of it arrived for longer than `GRISTMILL_KEEP_RESUMABLE` says. Begin a new one.";
    TooManyResumable = TOO_MANY_REQUESTS "too-many-resumable", "The client has too many unfinished uploads",
        "A client may have begun so many resumable uploads as `GRISTMILL_MAX_RESUMABLE` says without ending them. End some of them, or remove them with DELETE.";
    KeyReused = UNPROCESSABLE_ENTITY "idempotency-key-reused", "This idempotency key belongs to another request",
        "The same `Idempotency-Key` was sent before with another body or other parameters. Use a new key for new work.";
    KeyInFlight = CONFLICT "idempotency-key-in-flight", "A request with this idempotency key is still running",
        "Wait until the first request is answered, then send this one again: it gets the same answer.";
    UploadCancelled = CONFLICT "upload-cancelled", "The upload was cancelled while it arrived",
        "Its client cancelled it before its last byte was stored. Nothing of it stays.";
    NotCompleted = CONFLICT "not-completed", "The upload is not completed",
        "Only a completed upload has a receipt or a delta. Watch `/events` until it is completed; a failed or cancelled one has none.";
    NotComparable = CONFLICT "not-comparable", "These are not two versions of a file",
        "A delta counts rows by their keys, of two completed uploads of one kind whose rows have keys: debts, transactions or messages. Name the one that was completed before with `against`.";
    AlreadyOver = CONFLICT "already-over", "The upload has ended without rows",
        "A failed or cancelled upload has left nothing that could be cancelled or undone, nor has one whose rows were dropped (`rows_dropped_at`).";
    WrongState = CONFLICT "wrong-state", "What it is about does not allow this now",
        "The job or group is in a state in which this cannot be done to it: only what waits or runs can be cancelled, only what has ended badly can run again. Look at it, and decide again.";
    AlreadyBilled = CONFLICT "already-billed", "The upload is billed",
        "Bills were made of its debts, or are being made, so it cannot be undone. Nor can one that replaced debts of uploads that were billed since. An upload can be undone until a billing run takes it on.";
    NotPayable = CONFLICT "not-payable", "The bill has no way to pay it",
        "The client's settings do not say how it is paid, or no way to be paid can carry it, so it has no page: `not_payable` of the bill says why. Set `issuer` with `PUT /v1/settings`.";
    HasPayment = CONFLICT "has-payment", "Something was paid of the bill",
        "Only an open bill of which nothing was paid can be cancelled. Pay back yourself what was paid, or have the bill settled: tell of the rest with `POST /v1/payments`.";
    NotHeld = CONFLICT "not-held", "The billing run is not held",
        "Only a run whose state is `held` waits for an approval. `GET /v1/billing-runs/{id}` says where it stands.";
    RunOver = CONFLICT "run-over", "The billing run has ended",
        "A run that has ended cannot be cancelled. What it billed stays billed.";
    PaymentReused = UNPROCESSABLE_ENTITY "payment-reused", "This payment was reported before with other content",
        "A payment is known by its debt and its `paymentId`. Tell a further payment with an id of its own.";
    InvalidSettings = UNPROCESSABLE_ENTITY "invalid-settings", "Some settings cannot be",
        "`errors` names each setting at fault and what it may be. Nothing was changed.";
    InvalidPayment = UNPROCESSABLE_ENTITY "invalid-payment", "The notice of payment is not as it should be",
        "`errors` names each field at fault and what it may be. Nothing was recorded.";
    InvalidTransaction = UNPROCESSABLE_ENTITY "invalid-transaction", "The transaction is not as it should be",
        "`errors` names each field at fault and what it may be. Nothing was taken.";
    InvalidRule = UNPROCESSABLE_ENTITY "invalid-rule", "The rule cannot be",
        "`errors` names the field at fault and what it may be: an expression must compile, within limits, and must not match every descriptor. Nothing was changed.";
    InvalidProfile = UNPROCESSABLE_ENTITY "invalid-profile", "The profile cannot be",
        "`errors` names the field at fault and what it may be. What a profile says is said as by the parameters of an upload, and one header chooses one profile of a kind. Nothing was changed.";
    InvalidReport = UNPROCESSABLE_ENTITY "invalid-report", "The report cannot be",
        "`errors` names each field at fault and what it may be: a cost in credits is a multiple of 0.05. Nothing was changed.";
    InvalidClaim = UNPROCESSABLE_ENTITY "invalid-claim", "The claim breaks rules",
        "`errors` names each line and field at fault, and the rule it breaks. Nothing of the claim was entered.";
    TooManyRequests = TOO_MANY_REQUESTS "too-many-requests", "This is asked for too often",
        "The headers `RateLimit-Policy` and `RateLimit` say how often it may be. Wait as long as `Retry-After` says, then ask again.";
    Unavailable = SERVICE_UNAVAILABLE "unavailable", "The service cannot do this right now",
        "Something that the server needs is away. Wait as long as `Retry-After` says, then try again.";
    Busy = SERVICE_UNAVAILABLE "busy", "Too many files arrive at the same time",
        "The server takes so many uploads at once as its setting says. Wait as long as `Retry-After` says, then try again.";
    ShuttingDown = SERVICE_UNAVAILABLE "shutting-down", "The server is stopping",
        "It stopped before the file had arrived. The upload has failed and nothing of it stays: send the file again.";
    NotReady = SERVICE_UNAVAILABLE "not-ready", "The server is not ready",
        "`errors` names what is missing. `gristmill doctor` says more.";
    Internal = INTERNAL_SERVER_ERROR "internal", "The server failed",
        "A fault of the server. What happened is in its log under the problem's `instance`.";
}

/// tus has a status that HTTP does not know.
const CHECKSUM_MISMATCH: u16 = 460;

impl Code {
    pub(crate) fn status(self) -> StatusCode {
        match self {
            Self::ChecksumMismatch => StatusCode::from_u16(CHECKSUM_MISMATCH).unwrap_or(StatusCode::BAD_REQUEST),
            other => other.known_status(),
        }
    }

    /// The code of a problem's `type`.
    pub(crate) fn of_uri(uri: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.uri() == uri)
    }

    /// The problem's `type`: an address of this server.
    pub(crate) fn uri(self) -> String {
        format!("/problems/{}", self.as_str())
    }
}
