//! A file goes through the intake, and its chunks through the parser.

use gristmill_pipelines::{
    Arrived, Columns, Intake, Kind, Limits, Owner, Part, Rules, Said, SplitLimits, charset::Sayer,
};
use uuid::Uuid;

/// How a file is pushed, and into chunks of what size.
pub(super) const SIZES: &[(usize, usize)] = &[(1, 16 << 20), (7, 2 << 20), (1000, 1 << 20), (1 << 16, 1 << 20)];

/// What is read of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Read {
    dialect: String,
    /// What each row says, with its line.
    pub(super) rows: Vec<(u64, Vec<Option<Vec<u8>>>)>,
    rejects: Vec<String>,
}

impl Read {
    /// On one line.
    pub(super) fn told(&self) -> String {
        let Self { dialect, rows, rejects } = self;
        let (n, s) = (rows.len(), if rows.len() == 1 { "" } else { "s" });
        let rejects = rejects.iter().map(|reject| format!(", {reject}")).collect::<String>();
        format!("{dialect}: {n} row{s}{rejects}")
    }
}

fn said(kind: Kind, said: &[(&str, &str)]) -> Said {
    let mut all = Said::default();
    for (parameter, value) in said {
        let charset = |sayer| value.parse().ok().map(|charset| (charset, sayer));
        match *parameter {
            "delimiter" => all.delimiter = value.parse().ok(),
            "decimal" => all.decimal = value.parse().ok(),
            "dates" => all.dates = value.parse().ok(),
            "header_line" => all.header_line = value.parse().ok(),
            "columns" => all.columns = Columns::read(kind, value).unwrap(),
            "encoding" => all.charset = charset(Sayer::Parameter),
            "content-type" => all.charset = charset(Sayer::ContentType),
            parameter => panic!("{parameter}"),
        }
    }
    all
}

/// The file's outcome, pushed by so many bytes; or the sentence that stops it.
pub(super) fn read(
    kind: &str,
    bytes: &[u8],
    words: &[(&str, &str)],
    size: usize,
    chunk_bytes: usize,
) -> Result<Read, String> {
    let kind: Kind = kind.parse().unwrap();
    let split = SplitLimits { chunk_bytes, ..SplitLimits::default() };
    let mut intake = Intake::new(kind, said(kind, words), split, Limits::default());
    let mut parts = Vec::new();
    for bytes in bytes.chunks(size) {
        intake.push(bytes, |part| parts.push(part)).map_err(|error| error.to_string())?;
    }
    let arrived = intake.finish(|part| parts.push(part)).map_err(|error| error.to_string())?;
    let (mut header, mut reading) = (None, None);
    let owner = Owner { client_id: 42, upload_id: Uuid::from_u128(7) };
    let (mut rows, mut rejects) = (Vec::new(), Vec::new());
    let (mut lines, mut covered) = (0, 0);
    for part in parts {
        match part {
            Part::Header { raw, bytes, dialect } => {
                assert!(header.replace(raw).is_none(), "two headers");
                covered = bytes;
                reading = Some(dialect.reading());
            }
            Part::Values(dialect) => {
                assert!(rows.is_empty() && rejects.is_empty(), "behind a chunk");
                reading = Some(dialect.reading());
            }
            Part::Chunk(chunk) => {
                let (header, reading) = (header.as_ref().unwrap(), reading.as_ref().unwrap());
                let layout = kind.read_header_as(header, reading, &Limits::default()).unwrap();
                let parsed = kind.parse(&chunk.data, chunk.first_line, &layout, &owner, &Rules::default());
                (lines, covered) = (lines + parsed.lines, covered + chunk.bytes);
                for row in parsed.rows {
                    let tuple = &parsed.tuples[row.start as usize..][..row.len as usize];
                    let says = kind.table().said(tuple).map(|field| field.map(<[u8]>::to_vec));
                    rows.push((row.line, says.collect()));
                }
                rejects.extend(parsed.rejects.iter().map(|reject| format!("{} on line {}", reject.code, reject.line)));
            }
        }
    }
    let Arrived { dialect: found, text_bytes, lines: counted } = arrived;
    assert_eq!(reading, Some(found.reading()), "it is known before the first chunk");
    assert_eq!(covered, text_bytes, "bytes of the text");
    assert!(lines < counted || found.delimiter.is_none(), "the header's lines are no chunk's");
    let mut dialect = vec![found.encoding.to_string()];
    dialect.push(found.delimiter.map_or("lines of JSON".to_owned(), |delimiter| delimiter.to_string()));
    dialect.extend(found.container.map(|container| container.to_string()));
    dialect.extend((found.header_line > 1).then(|| format!("header on line {}", found.header_line)));
    dialect.extend(found.sep_line.then(|| "sep=".to_owned()));
    dialect.extend(found.decimal.map(|decimal| format!("decimal {decimal}")));
    dialect.extend(found.dates.map(|dates| format!("dates {dates}")));
    Ok(Read { dialect: dialect.join(", "), rows, rejects })
}
