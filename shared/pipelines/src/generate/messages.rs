use std::io;

use super::{BUFFER_BYTES, Counts, Lots, Options, numbers::Numbers, spill};

/// Characters of a text: the shortest and the longest but for its last word.
const LENGTHS: (u64, u64) = (20, 190);
/// One text in so many is a single phrase again and again, a palindrome, or has letters beyond ASCII.
const ODD: u64 = 50;
const ODDITIES: [&str; 4] = [
    "A man, a plan, a canal: Panama",
    "Há cláusulas de rescisão? Não há nenhuma cláusula, disse o arrendatário.",
    "What did the façade cost, à propos? Très cher!",
    "orbital latibro",
];
const WORDS: &str = "the a of is in to are what any for and on if there who when which lease rent term property tenant \
    landlord sold during happens clause notice break restrictions alterations improvements indemnity \
    provisions obligations commercial operating hours related service charge insurance repair covenant \
    assignment subletting tenant's guarantor deposit review renewal pre-emption rights access parking \
    schedule report summarise Generate What Are Does Explain the the of is under with by new";

/// Writes a file of messages, a few of which name a report; bad ones have a bad time.
pub fn messages(options: &Options, mut out: impl io::Write) -> io::Result<Counts> {
    let words: Vec<&str> = WORDS.split(' ').collect();
    let mut numbers = Numbers::new(options.seed, 4);
    let lots = Lots::of(options);
    let mut counts = Counts::default();
    let mut buffer = Vec::with_capacity(BUFFER_BYTES + 1024);
    buffer.extend_from_slice(b"id,timestamp,text,report_id\n");
    for n in 0..options.rows {
        let lot = u128::from(numbers.next());
        let (id, bad) = counts.draw(lot, &lots, &mut numbers);
        let hour = if bad { 24 } else { n / 3600 % 24 };
        let (day, minute, second) = (1 + n / 86_400 % 28, n / 60 % 60, n % 60);
        let (text, millis) = (text(&mut numbers, &words), numbers.below(1000));
        let report = match numbers.below(20) {
            0 => (1 + numbers.below(500)).to_string(),
            _ => String::new(),
        };
        let line = format!(
            "m-{:x}-{id},2025-01-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z,\"{text}\",{report}\n",
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

/// A question, without quotes in it.
fn text(numbers: &mut Numbers, words: &[&str]) -> String {
    if numbers.below(ODD) == 0 {
        return numbers.pick(&ODDITIES).to_owned();
    }
    let length = LENGTHS.0 + numbers.below(LENGTHS.1 - LENGTHS.0);
    let mut text = numbers.pick(words).to_owned();
    while (text.len() as u64) < length {
        text.push_str(if numbers.below(12) == 0 { ", " } else { " " });
        text.push_str(numbers.pick(words));
    }
    text.push('?');
    text
}
