//! Archives and workbooks as people send them, and as nobody should.

#![allow(clippy::unwrap_used, reason = "these are tests, their helpers included")]

mod archives;
mod oracle;
mod sheets;
mod spreadsheets;
mod wrong;

use std::{
    io::{Cursor, Write as _},
    ops::ControlFlow,
};

use gristmill_containers::{Limits, Wanted, open};
use zip::{CompressionMethod, ZipWriter, write::SimpleFileOptions};

const LIMITS: Limits = Limits {
    max_text_bytes: 64 << 20,
    max_ratio: 200,
    max_entries: 1_000,
    max_shared_strings: 16 << 20,
    max_columns: 100,
};

/// A ZIP archive of these files.
fn zip(files: &[(&str, &[u8])]) -> Vec<u8> {
    let mut zip = ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in files {
        if name.ends_with('/') {
            zip.add_directory(*name, options).unwrap();
            continue;
        }
        zip.start_file(*name, options).unwrap();
        zip.write_all(bytes).unwrap();
    }
    zip.finish().unwrap().into_inner()
}

/// What is read of a file, or why nothing is.
fn read_as(bytes: &[u8], wanted: Wanted, limits: Limits) -> Result<(String, String), String> {
    let said = |error: gristmill_containers::ContainerError| error.to_string();
    let table = open(Cursor::new(bytes), wanted, limits).map_err(said)?;
    let source = format!("{} {}", table.container(), table.entry().or(table.sheet()).unwrap_or_default());
    let mut text = Vec::new();
    let mut emit = |piece: &[u8]| {
        text.extend_from_slice(piece);
        ControlFlow::Continue(())
    };
    table.read(&mut emit).map_err(said)?;
    Ok((source, String::from_utf8_lossy(&text).into_owned()))
}

fn read(bytes: &[u8]) -> Result<(String, String), String> {
    read_as(bytes, Wanted::default(), LIMITS)
}

fn text(bytes: &[u8]) -> String {
    read(bytes).unwrap().1
}

fn entry(name: &str) -> Wanted {
    Wanted { entry: Some(name.to_owned()), ..Wanted::default() }
}

fn sheet(name: &str) -> Wanted {
    Wanted { sheet: Some(name.to_owned()), ..Wanted::default() }
}
