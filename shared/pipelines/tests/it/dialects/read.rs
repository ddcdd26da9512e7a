//! All pure stages behind each other, as a file goes through them.

use gristmill_pipelines::{
    Columns, Found, Kind, Limits, Owner, Piece, Preface, Rules, Said, Sample, SplitLimits, Splitter,
    charset::{Charset, Decode, Sayer, source_len},
};
use uuid::Uuid;

/// How a file is pushed, and into chunks of what size.
pub(super) const SIZES: &[(usize, usize)] = &[(1, 16 << 20), (1, 1), (7, 64), (1000, 1 << 10), (1 << 16, 1 << 20)];

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

fn said(kind: Kind, said: &[(&str, &str)]) -> (Said, Option<(Charset, Sayer)>) {
    let (mut all, mut sayer) = (Said::default(), Sayer::Parameter);
    for (parameter, value) in said {
        match *parameter {
            "delimiter" => all.delimiter = value.parse().ok(),
            "decimal" => all.decimal = value.parse().ok(),
            "dates" => all.dates = value.parse().ok(),
            "header_line" => all.header_line = value.parse().ok(),
            "columns" => all.columns = Columns::read(kind, value).unwrap(),
            "encoding" => all.encoding = value.parse().ok(),
            "content-type" => {
                all.encoding = value.parse().ok();
                sayer = Sayer::ContentType;
            }
            parameter => panic!("{parameter}"),
        }
    }
    let charset = all.encoding.map(|charset| (charset, sayer));
    (all, charset)
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
    let (said, charset) = said(kind, words);
    let mut decode = Decode::new(charset);
    let mut text = Vec::new();
    let mut pieces = Vec::new();
    for bytes in bytes.chunks(size) {
        decode.push(bytes, |piece| pieces.push(piece.to_vec())).map_err(|error| error.to_string())?;
    }
    let decoded = decode.finish(|piece| pieces.push(piece.to_vec())).map_err(|error| error.to_string())?;
    pieces.iter().for_each(|piece| text.extend_from_slice(piece));
    if let Some(length) = source_len(decoded.charset, &text) {
        assert_eq!(length, bytes.len() as u64 + u64::from(decoded.half), "bytes of the file");
    }

    let mut preface = Preface::new(kind, said.clone(), Limits::default());
    let mut found = Found::More;
    let mut rest = text.chunks(size);
    while found == Found::More
        && let Some(piece) = rest.next()
    {
        found = preface.push(piece).map_err(|none| none.to_string())?;
    }
    if found == Found::More {
        found = preface.finish().map_err(|none| none.to_string())?;
    }
    let mut dialect = vec![decoded.charset.to_string()];
    let limits = SplitLimits { chunk_bytes, ..SplitLimits::default() };
    let (mut splitter, mut reading) = match found {
        Found::Csv(header) => {
            dialect.push(header.delimiter.to_string());
            dialect.extend((header.line > 1).then(|| format!("header on line {}", header.line)));
            dialect.extend(header.sep_line.then(|| "sep=".to_owned()));
            (Splitter::at(limits, header.start()), header.reading(said_values(&said)))
        }
        Found::Ndjson => {
            dialect.push("lines of JSON".to_owned());
            (Splitter::new(limits), gristmill_pipelines::Reading { values: said_values(&said), ..Default::default() })
        }
        Found::Empty | Found::More => return Err("the file is empty".to_owned()),
    };
    let mut pieces = Vec::new();
    splitter.push(&preface.into_held(), |piece| pieces.push(piece));
    rest.for_each(|bytes| splitter.push(bytes, |piece| pieces.push(piece)));
    splitter.finish(|piece| pieces.push(piece));

    let mut pieces = pieces.into_iter();
    let Some(Piece::Header { raw, .. }) = pieces.next() else { panic!("no header") };
    let layout = kind.read_header_as(&raw, &reading, &Limits::default()).unwrap();
    let chunks: Vec<_> = pieces
        .map(|piece| match piece {
            Piece::Chunk(chunk) => chunk,
            Piece::Header { .. } => panic!("two headers"),
        })
        .collect();
    let mut sample = Sample::new(kind, &layout, 1 << 20);
    chunks.iter().for_each(|chunk| sample.push(chunk));
    let sampled = sample.verdict(&said).map_err(|asks| {
        let asks: Vec<String> = asks.iter().map(ToString::to_string).collect();
        asks.join(" ")
    })?;
    reading.values = sampled.values;
    dialect.extend(sampled.values.decimal.map(|decimal| format!("decimal {decimal}")));
    dialect.extend(sampled.values.dates.map(|dates| format!("dates {dates}")));

    let layout = kind.read_header_as(&raw, &reading, &Limits::default()).unwrap();
    let owner = Owner { client_id: 42, upload_id: Uuid::from_u128(7) };
    let mut read = Read { dialect: dialect.join(", "), rows: Vec::new(), rejects: Vec::new() };
    let mut lines = decoded.lines;
    for chunk in chunks {
        let parsed = kind.parse(&chunk.data, chunk.first_line, &layout, &owner, &Rules::default());
        lines = lines.checked_sub(parsed.lines).unwrap();
        for row in parsed.rows {
            let tuple = &parsed.tuples[row.start as usize..][..row.len as usize];
            let says = kind.table().said(tuple).map(|field| field.map(<[u8]>::to_vec));
            read.rows.push((row.line, says.collect()));
        }
        read.rejects.extend(parsed.rejects.iter().map(|reject| format!("{} on line {}", reject.code, reject.line)));
    }
    assert!(lines > 0 || text.is_empty() || dialect[1] == "lines of JSON", "the header's lines are no chunk's");
    Ok(read)
}

fn said_values(said: &Said) -> gristmill_pipelines::Values {
    gristmill_pipelines::Values { decimal: said.decimal, dates: said.dates }
}
