//! How good and how fast merchants are found: `cargo run --release -p gristmill-pipelines --example normalize`, optionally with
//! a seed and a file to which the descriptors of the speed run are written, for `bench/peers/normalize.py`.

use std::{io::Write, time::Instant};

use gristmill_pipelines::merchants::{Dictionary, Normalizer, Rules, noise};

fn main() -> std::io::Result<()> {
    let mut arguments = std::env::args().skip(1);
    let seed: u64 = arguments.next().and_then(|seed| seed.parse().ok()).unwrap_or(2026);
    let before = resident();
    let begun = Instant::now();
    let normalizer = Normalizer::built_in();
    let loaded = begun.elapsed();
    println!("load        {loaded:.0?}, {} MiB resident more", (resident() - before) >> 20);

    let labelled = noise::descriptors(Dictionary::built_in(), seed, 100_000);
    if let Some(path) = arguments.next() {
        let mut file = std::io::BufWriter::new(std::fs::File::create(path)?);
        labelled.iter().try_for_each(|one| writeln!(file, "{}\t{}", one.descriptor, one.merchants.join("|")))?;
    }
    let rules = Rules::default();
    let begun = Instant::now();
    let found: Vec<_> = labelled.iter().map(|one| normalizer.find(&one.descriptor, &rules)).collect();
    let spent = begun.elapsed();
    println!("speed       {:.0} descriptors/s on one core, no two alike", labelled.len() as f64 / spent.as_secs_f64());

    let (mut answered, mut right, mut known) = (0, 0, 0);
    for (one, found) in labelled.iter().zip(&found) {
        known += usize::from(!one.merchants.is_empty());
        answered += usize::from(found.is_some());
        let same = found.is_some_and(|found| one.merchants.contains(&found.name));
        right += usize::from(same);
        if !same && found.is_some() | !one.merchants.is_empty() && std::env::args().len() > 3 {
            println!("{:?}\t{:?}\t{found:?}", one.descriptor, one.merchants);
        }
    }
    println!("precision   {:.4} ({right} of {answered} answers)", right as f64 / answered as f64);
    println!("recall      {:.4} ({right} of {known} known merchants)", right as f64 / known as f64);
    Ok(())
}

/// Bytes of memory that the process has.
fn resident() -> usize {
    let pages = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    pages.split(' ').nth(1).and_then(|pages| pages.parse::<usize>().ok()).unwrap_or_default() * 4096
}
