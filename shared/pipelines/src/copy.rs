//! Postgres' binary `COPY` format, as far as rows need it.

/// What stands before the tuples of a `COPY … FROM STDIN (FORMAT BINARY)`: signature, flags, length of the extension.
/// See [File Formats, Binary Format](https://www.postgresql.org/docs/current/sql-copy.html#id-1.9.3.55.9.4).
pub const COPY_HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// What stands behind the tuples: a field count of −1.
pub const COPY_TRAILER: &[u8] = &(-1_i16).to_be_bytes();

/// The head of a tuple: the fields of fixed width come first in a table's columns, so a row copies this and fills in
/// what is its own.
pub(crate) struct Template {
    bytes: Vec<u8>,
}

impl Template {
    pub(crate) fn new(columns: usize) -> Self {
        let columns = i16::try_from(columns).expect("a table has fewer than 1,600 columns");
        Self { bytes: columns.to_be_bytes().to_vec() }
    }

    /// Adds a field and says where its value stands.
    pub(crate) fn push(&mut self, value: &[u8]) -> usize {
        push_field(&mut self.bytes, value);
        self.bytes.len() - value.len()
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }
}

/// The fields of a tuple; `None` is null.
pub(crate) fn fields(tuple: &[u8]) -> impl Iterator<Item = Option<&[u8]>> {
    let mut rest = tuple.get(2..).unwrap_or_default();
    std::iter::from_fn(move || {
        let (length, behind) = rest.split_first_chunk()?;
        let length = i32::from_be_bytes(*length);
        let (field, behind) = behind.split_at_checked(usize::try_from(length).unwrap_or(0))?;
        rest = behind;
        Some((length >= 0).then_some(field))
    })
}

/// Adds a field that is null.
pub(crate) fn push_null(out: &mut Vec<u8>) {
    out.extend_from_slice(&(-1_i32).to_be_bytes());
}

/// Adds a field that is not null.
pub(crate) fn push_field(out: &mut Vec<u8>, value: &[u8]) {
    let len = i32::try_from(value.len()).expect("a field is far shorter than 2 GiB");
    out.extend_from_slice(&len.to_be_bytes());
    out.extend_from_slice(value);
}
