//! How fast a file of 1.1 million debts is split, parsed and checked, in memory:
//! `cargo run --release -p gristmill-pipelines --example speed`.

use std::{hint::black_box, time::Instant};

use gristmill_pipelines::{
    Check, Chunk, Kind, Layout, Limits, Owner, Piece, Rules, Said, SplitLimits, Splitter, generate,
};
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
    let rate = |amount: f64, seconds: &Seconds| {
        format!("{:8.2} ({:.2} per core)", amount / seconds.wall, amount / seconds.cpu)
    };
    let million_rows = options.rows as f64 / 1e6;
    println!("generate            {} million rows/s", rate(million_rows, &seconds));
    let quoted = quote(&plain);
    let windows = replace(&plain, b"\n", b"\r\n");
    println!("file                {:8.1} MB, quoted {:.1} MB", mega(&plain), mega(&quoted));

    for (name, file) in [("unquoted", &plain), ("unquoted, \\r\\n", &windows), ("fully quoted", &quoted)] {
        let seconds = median(|| drop(split(file, |chunk| drop(black_box(chunk)))));
        println!("split {name:14}{} GB/s", rate(file.len() as f64 / 1e9, &seconds));
    }

    let owner = Owner { client_id: 1, upload_id: Uuid::nil() };
    for (name, file) in [("unquoted", &plain), ("fully quoted", &quoted)] {
        let mut chunks = Vec::new();
        let layout = split(file, |chunk| chunks.push(chunk));
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
            println!("parse {name:14}{} million rows/s, {cores} core(s)", rate(million_rows, &seconds));
        }
    }
    for cores in [1, 2] {
        let pool = ThreadPoolBuilder::new().num_threads(cores).build().expect("threads can be started");
        let seconds = median(|| pool.install(|| check(&plain)));
        println!("check unquoted      {} million rows/s, {cores} core(s)", rate(million_rows, &seconds));
    }
}

/// As it arrives, by a megabyte.
fn check(file: &[u8]) {
    let mut check = Check::new(Kind::Debts, Said::default(), Limits::default(), Rules::default());
    file.chunks(1 << 20).for_each(|bytes| check.push(bytes).expect("it is a file of debts"));
    black_box(check.finish().expect("it is a file of debts"));
}

fn mega(file: &[u8]) -> f64 {
    file.len() as f64 / 1e6
}

fn median(mut run: impl FnMut()) -> Seconds {
    let mut runs: Vec<Seconds> = (0..RUNS)
        .map(|_| {
            let (start, cpu) = (Instant::now(), cpu_seconds());
            run();
            Seconds { wall: start.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu }
        })
        .collect();
    runs.sort_by(|a, b| a.wall.total_cmp(&b.wall));
    let wall = runs[RUNS / 2].wall;
    runs.sort_by(|a, b| a.cpu.total_cmp(&b.cpu));
    Seconds { wall, cpu: runs[RUNS / 2].cpu }
}

struct Seconds {
    wall: f64,
    /// Of all threads: what counts on a machine that is busy with other things.
    cpu: f64,
}

/// Processor time of the threads that live (Linux; elsewhere 0).
fn cpu_seconds() -> f64 {
    let tasks = std::fs::read_dir("/proc/self/task").into_iter().flatten().flatten();
    let nanos = tasks.filter_map(|task| {
        let text = std::fs::read_to_string(task.path().join("schedstat")).ok()?;
        text.split(' ').next()?.parse::<f64>().ok()
    });
    nanos.sum::<f64>() / 1e9
}

/// As the API pushes it: pieces of 64 KiB.
fn split(file: &[u8], mut take_chunk: impl FnMut(Chunk)) -> Layout {
    let mut layout = None;
    let mut take = |piece| match piece {
        Piece::Header { raw, .. } => layout = Kind::Debts.read_header(&raw, &Limits::default()).ok(),
        Piece::Chunk(chunk) => take_chunk(chunk),
    };
    let mut splitter = Splitter::new(SplitLimits::default());
    for part in file.chunks(64 * 1024) {
        splitter.push(part, &mut take);
    }
    splitter.finish(&mut take);
    layout.expect("the generated header is right")
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
