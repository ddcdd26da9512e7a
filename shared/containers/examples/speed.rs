//! How fast a workbook is read, and how much memory that takes: a million rows of six cells, three of them texts that no other row has.
//!
//! `cargo run --release --package gristmill-containers --example speed [ROWS]`

#![expect(clippy::unwrap_used, reason = "an example ends where something is wrong")]

use std::{
    fs::File,
    io::{BufWriter, Write as _},
    ops::ControlFlow,
    time::Instant,
};

use gristmill_containers::{Limits, Wanted, open};
use zip::{ZipWriter, write::SimpleFileOptions};

const LIMITS: Limits = Limits {
    max_text_bytes: 64 << 30,
    max_ratio: 200,
    max_entries: 100,
    max_shared_strings: 256 << 20,
    max_columns: 256,
};

const KIND: &str = "http://schemas.openxmlformats.org/officeDocument/2006/relationships";

/// Writes a part by what it is given.
type Part<'p> = &'p dyn Fn(&mut dyn FnMut(&str));

/// Written as a stream, too: what it takes is no memory of the reader's.
fn write(file: File, rows: u64) {
    let mut zip = ZipWriter::new(file);
    let mut part = |name: &str, write: Part<'_>| {
        zip.start_file(name, SimpleFileOptions::default().large_file(true)).unwrap();
        let mut out = BufWriter::new(&mut zip);
        write(&mut |text| out.write_all(text.as_bytes()).unwrap());
        out.flush().unwrap();
    };
    part("[Content_Types].xml", &|say| say("<Types/>"));
    part("xl/workbook.xml", &|say| say("<workbook><sheets><sheet name=\"a\" r:id=\"r1\"/></sheets></workbook>"));
    part("xl/_rels/workbook.xml.rels", &|say| {
        say(&format!(
            "<Relationships><Relationship Id=\"r1\" Type=\"{KIND}/worksheet\" Target=\"sheet.xml\"/>\
             <Relationship Id=\"r2\" Type=\"{KIND}/sharedStrings\" Target=\"strings.xml\"/>\
             <Relationship Id=\"r3\" Type=\"{KIND}/styles\" Target=\"styles.xml\"/></Relationships>"
        ));
    });
    part("xl/styles.xml", &|say| {
        say("<styleSheet><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/></cellXfs></styleSheet>");
    });
    part("xl/strings.xml", &|say| {
        say("<sst>");
        for row in 0..rows {
            say(&format!(
                "<si><t>José Conceição {row}</t></si><si><t>jose{row}@example.com</t></si><si><t>00000000-0000-4000-8000-{row:012x}</t></si>"
            ));
        }
        say("</sst>");
    });
    part("xl/sheet.xml", &|say| {
        say("<worksheet><sheetData>");
        for row in 0..rows {
            let (number, text) = (row + 1, 3 * row);
            say(&format!(
                "<row r=\"{number}\" spans=\"1:6\"><c r=\"A{number}\" t=\"s\"><v>{text}</v></c><c r=\"B{number}\"><v>{}</v></c>\
                 <c r=\"C{number}\" t=\"s\"><v>{}</v></c><c r=\"D{number}\"><v>{}.5</v></c><c r=\"E{number}\" s=\"1\"><v>45657</v></c>\
                 <c r=\"F{number}\" t=\"s\"><v>{}</v></c></row>",
                10_000 + row,
                text + 1,
                row,
                text + 2
            ));
        }
        say("</sheetData></worksheet>");
    });
    zip.finish().unwrap();
}

fn main() {
    let rows: u64 = std::env::args().nth(1).map_or(1_000_000, |rows| rows.parse().unwrap());
    let path = std::env::temp_dir().join(format!("gristmill-speed-{}.xlsx", std::process::id()));
    write(File::create(&path).unwrap(), rows);
    let packed = std::fs::metadata(&path).unwrap().len();
    let begun = Instant::now();
    let (mut lines, mut bytes) = (0, 0);
    let mut emit = |piece: &[u8]| {
        lines += piece.iter().filter(|byte| **byte == b'\n').count() as u64;
        bytes += piece.len();
        ControlFlow::Continue(())
    };
    open(File::open(&path).unwrap(), Wanted::default(), LIMITS).unwrap().read(&mut emit).unwrap();
    let took = begun.elapsed().as_secs_f64();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(lines, rows);
    let peak = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = peak.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default();
    println!("{packed} bytes packed, {bytes} as text: {:.2} s, {:.0} rows/s; {peak}", took, rows as f64 / took);
}
