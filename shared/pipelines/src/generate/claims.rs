use std::io;

use super::{BUFFER_BYTES, Counts, Options, numbers::Numbers, spill, threshold};

/// What clinics do, and what they ask for it, in dollars.
const PROCEDURES: [(&str, u64); 8] = [
    ("D0120", 55),
    ("D0180", 100),
    ("D0210", 108),
    ("D1110", 90),
    ("D2740", 1_250),
    ("D4211", 178),
    ("D4346", 130),
    ("D7140", 195),
];
const QUADRANTS: [&str; 5] = ["", "", "UR", "LL", "UL"];
/// The most lines of a visit; they follow each other.
const LINES: u64 = 5;

/// Writes a file of claims' lines, about three to a visit, with the dirt of real ones; bad ones have a bad provider.
/// There are no duplicates among lines, so that share of the options is passed over.
pub fn claims(options: &Options, mut out: impl io::Write) -> io::Result<Counts> {
    let mut numbers = Numbers::new(options.seed, 4);
    let bad = threshold(options.bad);
    let mut counts = Counts::default();
    let mut buffer = Vec::with_capacity(BUFFER_BYTES + 1024);
    buffer.extend_from_slice(
        b"service date,\"submitted procedure\",quadrant,\"Plan/Group #\",Subscriber#,\"Provider NPI\",\"provider fees\",\
          \"Allowed fees\",\"member coinsurance\",\"member copay\"\n",
    );
    let mut left = 0;
    let (mut date, mut member, mut provider) = (String::new(), String::new(), String::new());
    for _ in 0..options.rows {
        if left == 0 {
            left = 1 + numbers.below(LINES);
            date = format!("{}/{}/{}", 1 + numbers.below(12), 1 + numbers.below(28), 24 + numbers.below(2));
            member = format!("GRP-{},{}", 1_000 + numbers.below(20) * 100, 3_730_000_000 + numbers.below(100_000_000));
            provider = npi(numbers.below(1_000));
        }
        left -= 1;
        let provider = if u128::from(numbers.next()) < bad {
            counts.rejected += 1;
            "x"
        } else {
            counts.accepted += 1;
            &provider
        };
        let (procedure, dollars) = numbers.pick(&PROCEDURES);
        let (fee, quadrant) = (dollars * 100 + numbers.below(1_000), numbers.pick(&QUADRANTS));
        let allowed = fee * (60 + numbers.below(41)) / 100;
        let coinsurance = (fee - allowed) / 4;
        let copay = [0, 0, 1_000][numbers.below(3) as usize];
        let money = |cents: u64| format!("${}.{:02} ", thousands(cents / 100), cents % 100);
        let fields = [fee, allowed, coinsurance, copay].map(money).map(|money| match money.contains(',') {
            true => format!("\"{money}\""),
            false => money,
        });
        let line = format!("{date} 0:00,{procedure},{quadrant},{member},{provider},{}\n", fields.join(","));
        buffer.extend_from_slice(line.as_bytes());
        if buffer.len() >= BUFFER_BYTES {
            spill(&mut buffer, &mut out, &mut counts)?;
        }
    }
    spill(&mut buffer, &mut out, &mut counts)?;
    out.flush()?;
    Ok(counts)
}

/// The `n`-th provider, with the right check digit.
fn npi(n: u64) -> String {
    let number = format!("1{:08}", n * 7_919 % 100_000_000);
    let digits = "80840".bytes().chain(number.bytes()).rev().map(|byte| u64::from(byte - b'0'));
    let doubled = |digit: u64| if digit > 4 { 2 * digit - 9 } else { 2 * digit };
    let sum: u64 = digits.enumerate().map(|(n, digit)| if n % 2 == 0 { doubled(digit) } else { digit }).sum();
    format!("{number}{}", (10 - sum % 10) % 10)
}

fn thousands(units: u64) -> String {
    if units < 1_000 { units.to_string() } else { format!("{},{:03}", units / 1_000, units % 1_000) }
}
