//! How many messages a second are priced, in memory and on all cores:
//! `cargo run --release -p gristmill-pipelines --example credits [-- FILE]`. With a file, the messages are written to it as
//! `bench/peers/credits.py` wants them: `text,twentieths`.

use std::{hint::black_box, time::Instant};

use gristmill_pipelines::{generate, messages::credits};
use rayon::prelude::*;

const ROWS: u64 = 1_000_000;
const RUNS: usize = 9;

fn main() {
    let options = generate::Options { rows: ROWS, seed: 1, ..Default::default() };
    let mut file = Vec::new();
    generate::messages(&options, &mut file).expect("a Vec takes everything");
    let mut reader = csv::Reader::from_reader(file.as_slice());
    let texts: Vec<String> = reader
        .records()
        .map(|record| record.expect("the generated file is right")[2].to_owned())
        .filter(|text| (20..=200).contains(&text.chars().count()))
        .collect();
    let characters: usize = texts.iter().map(|text| text.chars().count()).sum();
    println!("texts of 20 to 200 characters: {}, on average {}", texts.len(), characters / texts.len());

    for threads in [1, rayon::current_num_threads()] {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().expect("threads can be started");
        let mut runs: Vec<Run> = (0..RUNS).map(|_| pool.install(|| run(&texts))).collect();
        runs.sort_by(|a, b| a.wall.total_cmp(&b.wall));
        let rate = |seconds: f64| texts.len() as f64 / seconds / 1e6;
        let mut cpu: Vec<f64> = runs.iter().map(|run| run.cpu).collect();
        cpu.sort_by(f64::total_cmp);
        println!(
            "credits, {threads} thread(s): {:.2} million messages/s, at best {:.2}; {:.2} a second of processor time",
            rate(runs[RUNS / 2].wall),
            rate(runs[0].wall),
            rate(cpu[RUNS / 2]),
        );
    }
    if let Some(path) = std::env::args().nth(1) {
        write(&texts, &path).expect("the file can be written");
    }
}

struct Run {
    wall: f64,
    /// Of all threads: what counts on a machine that is busy with other things.
    cpu: f64,
}

fn run(texts: &[String]) -> Run {
    let (begun, cpu) = (Instant::now(), cpu_seconds());
    let sums = texts.par_chunks(4096).map(|texts| texts.iter().map(|text| credits(text).twentieths()).sum::<i64>());
    black_box(sums.sum::<i64>());
    Run { wall: begun.elapsed().as_secs_f64(), cpu: cpu_seconds() - cpu }
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

fn write(texts: &[String], path: &str) -> csv::Result<()> {
    let mut file = csv::Writer::from_path(path)?;
    file.write_record(["text", "twentieths"])?;
    for text in texts {
        file.write_record([text, &credits(text).twentieths().to_string()])?;
    }
    Ok(file.flush()?)
}
