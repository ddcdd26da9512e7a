//! What may be answered: by a route of its own, and by what stands before it.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use utoipa::{
    IntoResponses,
    openapi::{
        ContentBuilder, Header, HeaderBuilder, OpenApi, Ref, RefOr, Response, ResponseBuilder,
        extensions::ExtensionsBuilder, path::Operation,
    },
};

use super::examples;
use crate::problem::Code;

/// Where an answer names its problems for programs.
const PROBLEMS: &str = "x-problems";

/// Answers that several routes give.
macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident: $($code:ident),+;)+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                problems([$(Code::$code),+])
            }
        }
    )+};
}

answers! {
    /// Of every route for operators, and of those where an operator's key sees more.
    NotOperator: Forbidden;
    /// Of a route that names something otherwise than in its path.
    Absent: NotFound;
    /// Of every route that changes what has states.
    NotNow: WrongState;
    /// Of the receipt.
    NoReceipt: NotCompleted;
    NoDelta: NotCompleted, NotComparable;
    /// Of a removal.
    Over: AlreadyOver, AlreadyBilled, RunOver;
    /// Of a bill's page.
    NoPage: NotPayable;
    /// Of a bill's withdrawal.
    Paid: HasPayment;
    /// Of an approval.
    NotWaiting: NotHeld;
    /// Of a notice of payment.
    BadPayment: InvalidPayment, PaymentReused;
    /// Of new settings.
    BadSettings: InvalidSettings;
    /// Of a transaction.
    BadTransaction: InvalidTransaction;
    /// Of a rule.
    BadRule: InvalidRule;
    /// Of a profile.
    BadProfile: InvalidProfile;
    /// Of a report.
    BadReport: InvalidReport;
    /// Of a claim.
    BadClaim: InvalidClaim;
    /// Of what may not be asked for too often.
    Limited: TooManyRequests;
    /// Of a resumable upload that does not go on.
    NotResumable: TusVersion, WrongMediaType, OffsetMismatch, ChecksumMismatch, UploadLocked, UploadExpired, TooManyResumable, TooLarge, NotFound;
    /// Of a file that is not fetched.
    NotThere: NotFetched, FetchBroken, WrongChecksum;
    /// Of a file that is not taken.
    NotTaken: InvalidBody, CorruptEncoding, IncompleteUpload, UploadTimeout, UploadTooSlow, KeyInFlight, UploadCancelled, TooLarge,
        UnsupportedEncoding, UnsupportedCharset, WrongHeader, WrongFormat, AmbiguousFile, EmptyFile, KeyReused, CompressionRatio, TooMuchUnderWay, ShuttingDown, Busy;
}

/// Every operation of a document, with its method and path.
pub(super) fn operations(document: &mut OpenApi) -> impl Iterator<Item = (&'static str, &str, &mut Operation)> {
    document.paths.paths.iter_mut().flat_map(|(path, item)| {
        let methods = [
            ("get", &mut item.get),
            ("post", &mut item.post),
            ("put", &mut item.put),
            ("patch", &mut item.patch),
            ("delete", &mut item.delete),
        ];
        methods.into_iter().filter_map(move |(method, operation)| Some((method, path.as_str(), operation.as_mut()?)))
    })
}

/// Adds to what an operation may answer.
pub(super) fn may_answer(operation: &mut Operation, codes: impl IntoIterator<Item = Code>) {
    let answers = &mut operation.responses.responses;
    for (status, new) in problems(codes) {
        let before = answers.get(&status).map(codes_of).unwrap_or_default();
        let merged = problems(before.into_iter().chain(codes_of(&new)));
        answers.extend(merged);
    }
}

/// The problems that an answer names.
fn codes_of(answer: &RefOr<Response>) -> Vec<Code> {
    let RefOr::T(answer) = answer else { return Vec::new() };
    let named = answer.extensions.as_ref().and_then(|more| more.get(PROBLEMS)).and_then(Value::as_array);
    let known = |name: &Value| Code::ALL.iter().copied().find(|code| name == code.as_str());
    named.into_iter().flatten().filter_map(known).collect()
}

/// One answer a status, naming every problem that comes with it.
fn problems(codes: impl IntoIterator<Item = Code>) -> BTreeMap<String, RefOr<Response>> {
    let mut seen = BTreeSet::new();
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        if seen.insert(code.as_str()) {
            by_status.entry(code.status().as_u16()).or_default().push(code);
        }
    }
    by_status.into_iter().map(|(status, codes)| (status.to_string(), answer(&codes).into())).collect()
}

fn answer(codes: &[Code]) -> Response {
    let said: Vec<String> = codes.iter().map(|code| format!("{} (`{}`)", code.title(), code.uri())).collect();
    let schema = Ref::from_schema_name("Problem");
    let example = codes.first().map(|code| examples::problem(*code));
    let content = ContentBuilder::new().schema(Some(schema)).example(example).build();
    let names: Vec<&str> = codes.iter().map(|code| code.as_str()).collect();
    let mut response = ResponseBuilder::new()
        .description(said.join("; "))
        .content("application/problem+json", content)
        .extensions(Some(ExtensionsBuilder::new().add(PROBLEMS, json!(names)).build()));
    if codes.contains(&Code::Unauthorized) {
        response = response.header("WWW-Authenticate", header("`Bearer`"));
    }
    if codes.iter().any(|code| matches!(code, Code::Unavailable | Code::TooManyRequests)) {
        response = response.header("Retry-After", header("Seconds to wait"));
    }
    response.build()
}

fn header(description: &str) -> Header {
    HeaderBuilder::new().description(Some(description)).build()
}
