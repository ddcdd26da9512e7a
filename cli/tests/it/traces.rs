//! One trace, from a request to the last job that comes of it, as a collector receives it.

use std::{
    collections::BTreeMap,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use opentelemetry_proto::tonic::{
    collector::trace::v1::ExportTraceServiceRequest,
    common::v1::any_value::Value,
    trace::v1::{Span, span::SpanKind},
};
use prost::Message as _;

use super::stack::Stack;

/// Takes spans as OTLP over HTTP brings them: protobuf, decoded.
struct Collector {
    endpoint: String,
    spans: Arc<Mutex<Vec<Span>>>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let spans = Arc::default();
        let taken = Arc::clone(&spans);
        std::thread::spawn(move || {
            for connection in listener.incoming() {
                let taken = Arc::clone(&taken);
                std::thread::spawn(move || take(&connection.unwrap(), &taken));
            }
        });
        Self { endpoint, spans }
    }

    /// The spans of a trace, by name, once there is one of each.
    fn trace(&self, trace_id: &[u8], names: &[&str]) -> BTreeMap<String, Vec<Span>> {
        let started = Instant::now();
        loop {
            let mut found = BTreeMap::<_, Vec<_>>::new();
            for span in self.spans.lock().unwrap().iter().filter(|span| span.trace_id == trace_id) {
                found.entry(span.name.clone()).or_default().push(span.clone());
            }
            if names.iter().all(|name| found.contains_key(*name)) {
                return found;
            }
            let seen: Vec<_> = found.keys().collect();
            assert!(started.elapsed() < Duration::from_secs(60), "of {names:?} there are only {seen:?}");
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn take(connection: &TcpStream, taken: &Mutex<Vec<Span>>) {
    let mut reader = BufReader::new(connection);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        assert!(head.starts_with("POST /v1/traces HTTP/1.1"), "{head}");
        let head = head.to_lowercase();
        assert!(head.contains("content-type: application/x-protobuf"), "{head}");
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        let mut body = vec![0; length.trim().parse().unwrap()];
        reader.read_exact(&mut body).unwrap();
        let request = ExportTraceServiceRequest::decode(&body[..]).unwrap();
        for resource in request.resource_spans {
            let attributes = &resource.resource.as_ref().unwrap().attributes;
            let service = attributes.iter().find(|attribute| attribute.key == "service.name").unwrap();
            let service = service.value.as_ref().unwrap().value.clone();
            assert_eq!(service, Some(Value::StringValue("harness under test".to_owned())));
            let spans = resource.scope_spans.into_iter().flat_map(|scope| scope.spans);
            taken.lock().unwrap().extend(spans);
        }
        (&mut &*connection).write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}

fn attribute<'a>(span: &'a Span, key: &str) -> Option<&'a Value> {
    span.attributes.iter().find(|attribute| attribute.key == key)?.value.as_ref()?.value.as_ref()
}

const JOBS: [&str; 3] = ["uploads.load_chunk", "uploads.close", "uploads.drop_objects"];

/// Sends a file, and says which trace the client's own spans are in.
async fn send(stack: &Stack, seed: u32, trace_parent: Option<&str>) {
    let file = std::fs::read(stack.debts(&format!("{seed}.csv"), 12_000, "0", "0", seed)).unwrap();
    let key = std::fs::read_to_string(stack.folder.path().join(".gristmill/dev.key")).unwrap();
    let url = format!("{}/v1/uploads?kind=debts", stack.api);
    let mut request = reqwest::Client::new().post(url).bearer_auth(key.trim()).body(file);
    if let Some(trace_parent) = trace_parent {
        request = request.header("traceparent", trace_parent);
    }
    let response = request.send().await.unwrap();
    assert_eq!(response.status(), 202, "{}", response.text().await.unwrap());
}

#[tokio::test]
async fn an_upload_is_one_trace_from_the_request_to_its_last_job() {
    let _ = rustls::crypto::ring::default_provider().install_default();
    let collector = Collector::start();
    let stack = Stack::start_with(&[
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &collector.endpoint),
        ("OTEL_SERVICE_NAME", "harness under test"),
        ("OTEL_BSP_SCHEDULE_DELAY", "200"),
    ]);

    // The client's trace goes on.
    let (trace_id, client_span) = (0x4bf9_2f35_77b3_4da6_a3ce_929d_0e0e_4736_u128, 0x00f0_67aa_0ba9_02b7_u64);
    send(&stack, 1, Some(&format!("00-{trace_id:032x}-{client_span:016x}-01"))).await;
    let spans = collector.trace(&trace_id.to_be_bytes(), &[&JOBS[..], &["POST /v1/uploads"]].concat());
    assert_eq!(spans.len(), 4, "{:?}", spans.keys());
    let [request] = &spans["POST /v1/uploads"][..] else { panic!("{spans:?}") };
    assert_eq!((request.kind(), &request.parent_span_id[..]), (SpanKind::Server, &client_span.to_be_bytes()[..]));
    let [close] = &spans["uploads.close"][..] else { panic!("{spans:?}") };
    let chunks = &spans["uploads.load_chunk"];
    assert!(chunks.len() > 2, "{chunks:?}");
    for (job, parent) in
        chunks.iter().chain([close]).map(|job| (job, request)).chain([(&spans["uploads.drop_objects"][0], close)])
    {
        assert_eq!((job.kind(), &job.parent_span_id), (SpanKind::Consumer, &parent.span_id), "{job:?}");
        assert_eq!(attribute(job, "attempt"), Some(&Value::StringValue("1".to_owned())));
        assert_eq!(attribute(job, "delivery"), Some(&Value::StringValue("1".to_owned())));
        assert!(matches!(attribute(job, "queue"), Some(Value::StringValue(_))));
        assert!(matches!(attribute(job, "job"), Some(Value::StringValue(id)) if id.len() == 36));
    }

    scrape(&stack).await;

    // A client without one: a trace begins.
    send(&stack, 2, None).await;
    let started = Instant::now();
    let root = loop {
        let spans = collector.spans.lock().unwrap().clone();
        let root = |span: &&Span| span.name == "POST /v1/uploads" && span.parent_span_id.is_empty();
        if let Some(root) = spans.iter().find(root) {
            break root.clone();
        }
        assert!(started.elapsed() < Duration::from_secs(60), "no trace begins");
        std::thread::sleep(Duration::from_millis(100));
    };
    collector.trace(&root.trace_id, &JOBS);
    let log = std::fs::read_to_string(stack.folder.path().join(".gristmill/gristmill.log")).unwrap();
    assert!(log.contains(&format!("trace_id={trace_id:032x}")), "{log}");
}

/// The metrics of the process with the scheduler in it, as Prometheus gets them.
async fn scrape(stack: &Stack) {
    let told = std::fs::read(stack.folder.path().join(".gristmill/up.json")).unwrap();
    let told: serde_json::Value = serde_json::from_slice(&told).unwrap();
    let url = format!("{}/metrics", told["monitor"].as_str().unwrap());
    let started = Instant::now();
    loop {
        let text = reqwest::get(&url).await.unwrap().text().await.unwrap();
        let depths: Vec<&str> = text.lines().filter(|line| line.starts_with("gristmill_queue_depth{")).collect();
        let violations = r#"gristmill_invariant_violations_total{invariant="upload_progress"} 0"#;
        assert!(text.contains(violations), "{text}");
        for name in
            ["gristmill_invariant_violations_total", "gristmill_http_requests_total", "gristmill_relay_healed_total"]
        {
            assert!(text.contains(&format!("# HELP {name} ")) && text.contains(&format!("# TYPE {name} ")), "{text}");
        }
        // Nothing is left to do: the gauges say so by themselves.
        if depths.iter().all(|line| line.ends_with(" 0")) {
            return;
        }
        assert!(started.elapsed() < Duration::from_secs(60), "{depths:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}
