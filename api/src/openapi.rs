//! The frame of the OpenAPI document; the routes fill it in.

mod examples;
mod hooks;

use std::collections::BTreeMap;

use gristmill_webhooks::{BillChange, NormalizationCompleted, UploadEnd};
use utoipa::{
    IntoResponses, OpenApi,
    openapi::{
        ContentBuilder, HeaderBuilder, Object, OpenApi as Document, Ref, RefOr, Required, Response, ResponseBuilder,
        Type,
        path::{Parameter, ParameterBuilder, ParameterIn},
        security::{Http, HttpAuthScheme, SecurityScheme},
    },
};

use crate::problem::{Code, ProblemBody};

#[derive(OpenApi)]
#[openapi(
    info(
        title = "Gristmill",
        description = "Bulk files in; settled rows out, each exactly once.\n\nEvery error is a problem (RFC 9457) with a stable `type`.",
    ),
    components(schemas(ProblemBody, NormalizationCompleted, UploadEnd, BillChange)),
    tags(
        (name = "uploads", description = "Files in, and what became of them"),
        (name = "debts", description = "The rows of completed uploads"),
        (name = "normalizations", description = "Which merchants transactions name"),
        (name = "usage", description = "What messages cost, and the reports that say so"),
        (name = "claims", description = "Claims, their payments, and what each provider's add up to"),
        (name = "jobs", description = "The work in the queue: yours, or with an operator's key everybody's"),
        (name = "groups", description = "Jobs with one end"),
        (name = "queues", description = "Operators only: pause, drain and limit queues"),
        (name = "workers", description = "Operators only: who works on what"),
        (name = "schedules", description = "Operators only: jobs by the clock"),
        (name = "mail", description = "What was sent, and to whom nothing is"),
        (name = "webhooks", description = "Where you are told of what happens, and what became of it"),
        (name = "about", description = "The server itself"),
    ),
)]
struct Frame;

/// The document without routes.
pub(crate) fn frame() -> Document {
    let mut document = Frame::openapi();
    let mut key = Http::new(HttpAuthScheme::Bearer);
    key.bearer_format = Some("gm_…".to_owned());
    key.description = Some("A key made by `gristmill keys create --client NAME`.".to_owned());
    if let Some(license) = &mut document.info.license {
        // Not one of the list but an expression: there is no page to lead to.
        license.identifier = None;
    }
    document.components.get_or_insert_default().add_security_scheme("key", SecurityScheme::Http(key));
    document
}

/// The document with its routes gets what is the same for many of them, and examples of what they answer.
pub(crate) fn with_examples(mut document: Document) -> Document {
    let posts = document.paths.paths.values_mut().filter_map(|item| item.post.as_mut());
    for post in posts {
        let parameters = post.parameters.get_or_insert_default();
        let is_key = |parameter: &RefOr<Parameter>| matches!(parameter, RefOr::T(it) if it.name == IDEMPOTENCY_KEY);
        // An upload's is described with it.
        if !parameters.iter().any(is_key) {
            parameters.push(idempotency_key().into());
        }
    }
    examples::add(&mut document);
    hooks::add(&mut document);
    document
}

const IDEMPOTENCY_KEY: &str = "Idempotency-Key";

fn idempotency_key() -> Parameter {
    let text = Object::builder().schema_type(Type::String).max_length(Some(255)).build();
    ParameterBuilder::new()
        .name(IDEMPOTENCY_KEY)
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(
            "Makes it safe to repeat: the same key with the same request has the same answer for a day. Another request \
             with it is refused (422), and so is the same one while the first still runs (409).",
        ))
        .schema(Some(text))
        .build()
}

/// Answers that several routes give.
macro_rules! answers {
    ($($(#[$doc:meta])* $name:ident: $($code:ident),+;)+) => {$(
        $(#[$doc])*
        pub(crate) struct $name;

        impl IntoResponses for $name {
            fn responses() -> BTreeMap<String, RefOr<Response>> {
                problems(&[$(Code::$code),+])
            }
        }
    )+};
}

answers! {
    /// Of every route for operators.
    NotOperator: Unauthorized, Forbidden;
    /// Of every route about one thing.
    Absent: NotFound;
    /// Of every route that changes what has states.
    NotNow: WrongState;
    /// Of every route that takes JSON.
    BadBody: InvalidBody, InvalidParameter;
    /// Of every route that needs a key.
    Denied: Unauthorized;
    /// Of every route about one upload.
    NoUpload: NotFound;
    /// Of the receipt.
    NoReceipt: NotCompleted;
    /// Of a removal.
    Over: AlreadyOver, AlreadyBilled, RunOver;
    /// Of every route about one bill.
    NoBill: NotFound;
    /// Of every route about one mail, or one suppressed address.
    NoMail: NotFound;
    /// Of a bill's page.
    NoPage: NotPayable;
    /// Of a bill's withdrawal.
    Paid: HasPayment;
    /// Of every route about one billing run.
    NoRun: NotFound;
    /// Of an approval.
    NotWaiting: NotHeld;
    /// Of a notice of payment.
    NoDebt: NotFound;
    BadPayment: InvalidPayment, PaymentReused;
    BadSettings: InvalidSettings;
    BadReport: InvalidReport;
    /// Of a claim.
    BadClaim: InvalidClaim;
    /// Of what may not be asked for too often.
    Limited: TooManyRequests;
    /// Of every route that takes JSON.
    Unreadable: InvalidBody;
    /// Of every route.
    Faults: InvalidParameter, Internal, Unavailable;
    /// Of a body that is not taken.
    NotTaken: InvalidParameter, InvalidBody, CorruptEncoding, IncompleteUpload, UploadTimeout, UploadTooSlow, KeyInFlight, UploadCancelled, TooLarge,
        UnsupportedEncoding, WrongHeader, EmptyFile, KeyReused, ShuttingDown, Busy, Unavailable;
}

/// One answer a status, naming every problem that comes with it.
fn problems(codes: &[Code]) -> BTreeMap<String, RefOr<Response>> {
    let mut by_status: BTreeMap<u16, Vec<Code>> = BTreeMap::new();
    for code in codes {
        by_status.entry(code.status().as_u16()).or_default().push(*code);
    }
    by_status.into_iter().map(|(status, codes)| (status.to_string(), answer(&codes).into())).collect()
}

fn answer(codes: &[Code]) -> Response {
    let said: Vec<String> = codes.iter().map(|code| format!("{} (`{}`)", code.title(), code.uri())).collect();
    let schema = Ref::from_schema_name("Problem");
    let example = codes.first().map(|code| examples::problem(*code));
    let content = ContentBuilder::new().schema(Some(schema)).example(example).build();
    let mut response = ResponseBuilder::new().description(said.join("; ")).content("application/problem+json", content);
    let header = |description: &str| HeaderBuilder::new().description(Some(description)).build();
    if codes.contains(&Code::Unauthorized) {
        response = response.header("WWW-Authenticate", header("`Bearer`"));
    }
    if codes.iter().any(|code| matches!(code, Code::Unavailable | Code::TooManyRequests)) {
        response = response.header("Retry-After", header("Seconds to wait"));
    }
    response.build()
}
