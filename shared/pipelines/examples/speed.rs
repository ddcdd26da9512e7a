//! How fast a file of 1.1 million debts is split and parsed, in memory:
//! `cargo run --release -p gristmill-pipelines --example speed`.

use std::{hint::black_box, time::Instant};

use gristmill_pipelines::{Chunk, Kind, Layout, Limits, Owner, Piece, Rules, SplitLimits, Splitter, generate};
use rayon::ThreadPoolBuilder;
use uuid::Uuid;

const RUNS: usize = 5;

fn main() {
    let options = generate::Options { rows: 1_100_000, seed: 1, ..Default::default() };
    let mut plain = Vec::new();
    let seconds = median(|| {
        plain.clear();
        generate::debts(&options, &mut plain).expect("a Vec takes everything");
    });
    println!("generate            {:8.2} million rows/s", options.rows as f64 / seconds / 1e6);
    let quoted = quote(&plain);
    let windows = replace(&plain, b"\n", b"\r\n");
    println!("file                {:8.1} MB, quoted {:.1} MB", mega(&plain), mega(&quoted));

    for (name, file) in [("unquoted", &plain), ("unquoted, \\r\\n", &windows), ("fully quoted", &quoted)] {
        let seconds = median(|| drop(black_box(split(file))));
        println!("split {name:14}{:8.2} GB/s", file.len() as f64 / seconds / 1e9);
    }

    let owner = Owner { client_id: 1, upload_id: Uuid::nil() };
    for (name, file) in [("unquoted", &plain), ("fully quoted", &quoted)] {
        let (layout, chunks) = split(file);
        for cores in [1, 2] {
            let pool = ThreadPoolBuilder::new().num_threads(cores).build().expect("threads can be started");
            let seconds = median(|| {
                pool.install(|| {
                    for chunk in &chunks {
                        let rules = Rules::default();
                        black_box(Kind::Debts.parse(&chunk.data, chunk.first_line, &layout, &owner, &rules));
                    }
                });
            });
            println!("parse {name:14}{:8.2} million rows/s, {cores} core(s)", options.rows as f64 / seconds / 1e6);
        }
    }
}

fn mega(file: &[u8]) -> f64 {
    file.len() as f64 / 1e6
}

fn median(mut run: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..RUNS)
        .map(|_| {
            let start = Instant::now();
            run();
            start.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    if std::env::args().nth(1).is_some() {
        return seconds[0];
    }
    seconds[RUNS / 2]
}

/// As the API pushes it: pieces of 64 KiB.
fn split(file: &[u8]) -> (Layout, Vec<Chunk>) {
    let mut layout = None;
    let mut chunks = Vec::new();
    let mut take = |piece| match piece {
        Piece::Header { raw, .. } => layout = Kind::Debts.read_header(&raw, &Limits::default()).ok(),
        Piece::Chunk(chunk) => chunks.push(chunk),
    };
    let mut splitter = Splitter::new(SplitLimits::default());
    for part in file.chunks(64 * 1024) {
        splitter.push(part, &mut take);
    }
    splitter.finish(&mut take);
    (layout.expect("the generated header is right"), chunks)
}

fn quote(file: &[u8]) -> Vec<u8> {
    let inner = replace(&replace(&file[..file.len() - 1], b",", b"\",\""), b"\n", b"\"\n\"");
    [b"\"", &inner[..], b"\"\n"].concat()
}

fn replace(file: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(file.len() * 5 / 4);
    let mut rest = file;
    while let Some(at) = memchr::memmem::find(rest, from) {
        out.extend_from_slice(&rest[..at]);
        out.extend_from_slice(to);
        rest = &rest[at + from.len()..];
    }
    out.extend_from_slice(rest);
    out
}
