use std::io;

use super::{BUFFER_BYTES, Counts, Lots, Options, numbers::Numbers, spill};
use crate::merchants::{Dictionary, noise};

/// Descriptors that a file draws from: like statements, it names the same merchants again and again.
const DESCRIPTORS: usize = 20_000;

/// Writes a file of transactions, with a column `id`; bad ones have a bad date.
pub fn transactions(options: &Options, mut out: impl io::Write) -> io::Result<Counts> {
    let labelled = noise::descriptors(Dictionary::built_in(), options.seed, DESCRIPTORS);
    let mut numbers = Numbers::new(options.seed, 3);
    let lots = Lots::of(options);
    let mut counts = Counts::default();
    let mut buffer = Vec::with_capacity(BUFFER_BYTES + 1024);
    buffer.extend_from_slice(b"date,description,amount,currency,id\n");
    for _ in 0..options.rows {
        let lot = u128::from(numbers.next());
        let month = 1 + numbers.below(12);
        let (id, bad) = counts.draw(lot, &lots, &mut numbers);
        let day = if bad { 32 } else { 1 + numbers.below(28) };
        let descriptor = &labelled[numbers.below(DESCRIPTORS as u64) as usize].descriptor;
        let cents = 100 + numbers.below(50_000);
        let line = format!(
            "2025-{month:02}-{day:02},\"{}\",{}.{:02},USD,tx-{:x}-{id}\n",
            descriptor.replace('"', "\"\""),
            cents / 100,
            cents % 100,
            options.seed,
        );
        buffer.extend_from_slice(line.as_bytes());
        if buffer.len() >= BUFFER_BYTES {
            spill(&mut buffer, &mut out, &mut counts)?;
        }
    }
    spill(&mut buffer, &mut out, &mut counts)?;
    out.flush()?;
    Ok(counts)
}
