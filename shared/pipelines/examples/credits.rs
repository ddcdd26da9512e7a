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
        let mut rates: Vec<f64> = (0..RUNS).map(|_| pool.install(|| rate(&texts))).collect();
        rates.sort_by(f64::total_cmp);
        let (median, best) = (rates[RUNS / 2], rates[RUNS - 1]);
        println!("credits, {threads} thread(s): {median:.2} million messages/s, at best {best:.2}");
    }
    if let Some(path) = std::env::args().nth(1) {
        write(&texts, &path).expect("the file can be written");
    }
}

/// Million messages a second.
fn rate(texts: &[String]) -> f64 {
    let begun = Instant::now();
    let sum: i64 =
        texts.par_chunks(4096).map(|texts| texts.iter().map(|text| credits(text).twentieths()).sum::<i64>()).sum();
    black_box(sum);
    texts.len() as f64 / begun.elapsed().as_secs_f64() / 1e6
}

fn write(texts: &[String], path: &str) -> csv::Result<()> {
    let mut file = csv::Writer::from_path(path)?;
    file.write_record(["text", "twentieths"])?;
    for text in texts {
        file.write_record([text, &credits(text).twentieths().to_string()])?;
    }
    Ok(file.flush()?)
}
