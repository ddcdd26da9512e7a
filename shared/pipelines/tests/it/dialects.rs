//! Files as back offices have them: what is read of each, or the sentence that it is refused or asked with.
//!
//! The cases are data, so that what is documented can be made of them.

mod cases;
mod documented;
mod laws;
mod product;
mod read;

use cases::{CASES, Outcome};
use read::{SIZES, read};

#[test]
fn every_case_comes_out_as_it_should() {
    let mut wrong = Vec::new();
    for case in CASES {
        let whole = read(case.kind, &(case.bytes)(), case.said, usize::MAX, 16 << 20);
        let (is, should) = match (&whole, case.outcome) {
            (Ok(read), Outcome::Reads(should)) => (read.told(), should),
            (Ok(read), Outcome::Stops(should)) => (read.told(), should),
            (Err(sentence), Outcome::Reads(should) | Outcome::Stops(should)) => (sentence.clone(), should),
        };
        if is != should {
            wrong.push(format!("{}:\n  is     {is}\n  should {should}", case.id));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn no_case_comes_out_otherwise_when_it_is_cut() {
    for case in CASES {
        let bytes = (case.bytes)();
        let sizes = if bytes.len() > 1 << 20 { &SIZES[2..] } else { SIZES };
        let whole = read(case.kind, &bytes, case.said, usize::MAX, 16 << 20);
        for (size, chunk_bytes) in sizes {
            let cut = read(case.kind, &bytes, case.said, *size, *chunk_bytes);
            assert_eq!(cut, whole, "{} by {size} into {chunk_bytes}", case.id);
        }
    }
}
