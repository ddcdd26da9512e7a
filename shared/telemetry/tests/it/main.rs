//! Which spans a collector receives.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on panics, in its helpers too")]

use std::{
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
};

use gristmill_telemetry::Telemetry;
use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    trace::v1::{Span, span::SpanKind},
};
use prost::Message as _;
use tracing::{debug_span, info_span};

/// Takes what is posted as OTLP by HTTP.
fn take(connection: &TcpStream, taken: &Mutex<Vec<Span>>) {
    let mut reader = BufReader::new(connection);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        let head = head.to_lowercase();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.trim().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        let spans = request.resource_spans.into_iter().flat_map(|resource| resource.scope_spans);
        taken.lock().unwrap().extend(spans.flat_map(|scope| scope.spans));
        (&mut &*connection).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_applications_own_spans_are_exported_within_those_of_its_jobs() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let taken: Arc<Mutex<Vec<Span>>> = Arc::default();
    let taking = Arc::clone(&taken);
    std::thread::spawn(move || {
        for connection in listener.incoming() {
            take(&connection.unwrap(), &taking);
        }
    });
    let filter = "info,quiet=warn,shop::cart=debug".into();
    Telemetry { filter, otlp_endpoint: Some(endpoint), ..Telemetry::default() }.init().unwrap();

    {
        let job = info_span!(target: "gristmill_queue::run", "job", name = "cart.pay", messaging.system = "gristmill");
        let _job = job.entered();
        let _handler = info_span!(target: "shop", "pay").entered();
        let _ = debug_span!(target: "shop::cart", "sum").entered();
        // An application's words may be ours.
        let _ = info_span!(target: "shop", "job", name = "theirs").entered();
        let _ = info_span!(target: "tower_http::trace", "request", method = "GET", uri = "/").entered();
        // Not wanted by the filter, or below the application.
        let _ = debug_span!(target: "shop", "detail").entered();
        let _ = info_span!(target: "quiet", "whisper").entered();
        let _ = debug_span!(target: "gristmill_queue::run", "inner").entered();
        for target in BELOW {
            target();
        }
    }
    gristmill_telemetry::finish().await;

    let spans = taken.lock().unwrap();
    let mut names: Vec<&str> = spans.iter().map(|span| span.name.as_str()).collect();
    names.sort_unstable();
    assert_eq!(names, ["cart.pay", "job", "pay", "request", "sum"]);
    let of = |name: &str| spans.iter().find(|span| span.name == name).unwrap();
    assert_eq!((of("cart.pay").kind(), of("request").kind()), (SpanKind::Consumer, SpanKind::Internal));
    assert_eq!(of("pay").parent_span_id, of("cart.pay").span_id);
    assert_eq!(of("sum").parent_span_id, of("pay").span_id);
    assert!(spans.iter().all(|span| span.trace_id == of("cart.pay").trace_id));
}

/// A span's target is a constant.
const BELOW: [fn(); 4] = [
    || drop(info_span!(target: "hyper::client", "below").entered()),
    || drop(info_span!(target: "h2", "below").entered()),
    || drop(info_span!(target: "tonic::transport", "below").entered()),
    || drop(info_span!(target: "sqlx::query", "below").entered()),
];
