//! Where records stand, without a look at what is in them.

use std::ops::Range;

use crate::{
    Format,
    lines::line_ends,
    scan::{Scan, Stop},
};

/// A record of a chunk.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Line of the file where it starts, 1-based.
    pub line: u64,
    /// Its bytes in the chunk, without the line end.
    pub bytes: Range<usize>,
}

/// The places of all records of a chunk, found as the [`Splitter`](crate::Splitter) finds them: slower than parsing, but
/// a chunk whose records take down who parses them has come through that already.
pub fn places(chunk: &[u8], first_line: u64, format: Format, max_record_bytes: usize) -> Vec<Place> {
    let mut places = Vec::new();
    let mut scan = Scan::new(format);
    let (mut start, mut line) = (0, first_line);
    while let Some(stop) = scan.advance(chunk, start + 1, max_record_bytes, true) {
        let Stop::End { record, next } = stop else {
            scan.end_with_line();
            continue;
        };
        // an empty line is no record
        if record > start {
            places.push(Place { line, bytes: start..record });
        }
        line += line_ends(&chunk[start..next]);
        start = next;
    }
    if start < chunk.len() {
        places.push(Place { line, bytes: start..chunk.len() });
    }
    places
}
