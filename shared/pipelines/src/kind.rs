//! The closed set of kinds. A new one does not compile until every `match` here knows it.

use serde::{Deserialize, Serialize};
use strum::VariantNames as _;

use crate::{
    Samples,
    claims::{self, Claims},
    copy::fields,
    debts::{self, Debts},
    dialect::Reading,
    layout::{HeaderError, Layout, Limits},
    messages::{self, Messages},
    parse::{self, Owner, ParsedChunk, Rules},
    transactions::{self, Transactions},
};

/// Which pipeline reads a file.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    Hash,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    strum::Display,
    strum::EnumString,
    strum::IntoStaticStr,
    strum::VariantArray,
    strum::VariantNames,
)]
#[serde(rename_all = "snake_case")]
#[strum(serialize_all = "snake_case", parse_err_ty = UnknownKind, parse_err_fn = unknown)]
pub enum Kind {
    /// Debts to be billed: `name,governmentId,email,debtAmount,debtDueDate,debtId`.
    Debts,
    /// Lines of dental claims: `service date,submitted procedure,…,provider fees,Allowed fees,member coinsurance,member copay`.
    Claims,
    /// Card transactions, whose merchants are named: `date,description,amount[,currency,id]`.
    Transactions,
    /// Messages that cost credits: `id,timestamp,text[,report_id]`.
    Messages,
}

/// The table that a kind's rows go to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Table {
    /// Its name.
    pub name: &'static str,
    /// The columns, in the order of the tuples.
    pub columns: &'static [&'static str],
    /// The column of [`Row::key`](crate::Row::key). With `client_id` before it, it is the primary key.
    pub key: &'static str,
    /// Whether its rows are in segments, and their keys may have come before. Else each row has a key of its own.
    pub segments: bool,
    /// Whether its rows are read in the order of their file: then that order is kept beside them.
    pub in_file_order: bool,
    /// The columns that hold what a record says, each with the file's name for it; in the order of `columns`, and without
    /// the key. What is derived, like a merchant, is not here: it may come out otherwise on another day.
    pub said: &'static [(&'static str, &'static str)],
}

impl Table {
    /// Where rows are that were replaced, of a table whose rows are in segments.
    #[must_use]
    pub fn replaced(&self) -> String {
        format!("{}_replaced", self.name)
    }

    /// What a tuple says in the columns of `said`, in their order: as Postgres takes and sends it in its binary format,
    /// `None` a null.
    pub fn said<'t>(&self, tuple: &'t [u8]) -> impl Iterator<Item = Option<&'t [u8]>> + use<'t> {
        let mut said = self.said.iter().peekable();
        let fields = self.columns.iter().zip(fields(tuple));
        fields.filter_map(move |(column, field)| said.next_if(|(said, _)| said == column).map(|_| field))
    }
}

impl Kind {
    /// Every kind.
    pub const ALL: &'static [Self] = <Self as strum::VariantArray>::VARIANTS;

    /// Where the rows go.
    pub fn table(self) -> &'static Table {
        match self {
            Self::Debts => &debts::TABLE,
            Self::Claims => &claims::TABLE,
            Self::Transactions => &transactions::TABLE,
            Self::Messages => &messages::TABLE,
        }
    }

    /// The columns that a file has, by their own names and in their usual order.
    pub fn columns(self) -> &'static [&'static str] {
        match self {
            Self::Debts => debts::COLUMNS,
            Self::Claims => claims::COLUMNS,
            Self::Transactions => transactions::COLUMNS,
            Self::Messages => messages::COLUMNS,
        }
    }

    /// How many of the columns, the last ones, a file may leave out.
    pub fn optional_columns(self) -> usize {
        match self {
            Self::Debts | Self::Claims => 0,
            Self::Transactions => transactions::OPTIONAL,
            Self::Messages => messages::OPTIONAL,
        }
    }

    /// The columns that a file must have.
    pub(crate) fn needed_columns(self) -> &'static [&'static str] {
        let columns = self.columns();
        &columns[..columns.len() - self.optional_columns()]
    }

    /// Which of the columns are amounts.
    pub(crate) fn amounts(self) -> &'static [usize] {
        match self {
            Self::Debts => debts::AMOUNTS,
            Self::Claims => claims::AMOUNTS,
            Self::Transactions => transactions::AMOUNTS,
            Self::Messages => &[],
        }
    }

    /// Which of the columns are days.
    pub(crate) fn dates(self) -> &'static [usize] {
        match self {
            Self::Debts => debts::DATES,
            Self::Claims => claims::DATES,
            Self::Transactions => transactions::DATES,
            Self::Messages => &[],
        }
    }

    /// For each of the columns the words that mean it, too.
    pub(crate) fn aliases(self) -> &'static [&'static [&'static str]] {
        match self {
            Self::Debts => debts::ALIASES,
            Self::Claims => claims::ALIASES,
            Self::Transactions => transactions::ALIASES,
            Self::Messages => messages::ALIASES,
        }
    }

    /// What duplicates are said to have in common: the column of a file that [`Row::key`](crate::Row::key) is made of.
    pub fn key_column(self) -> &'static str {
        match self {
            Self::Debts => "debtId",
            Self::Transactions | Self::Messages => "id",
            // A line's key is its own: there are no duplicates.
            Self::Claims => "line",
        }
    }

    /// In which columns two rows of one key say something else, by the file's names for them and in its usual order; each
    /// row as [`Table::said`] has it.
    pub fn differs<'a>(
        self,
        one: impl Iterator<Item = Option<&'a [u8]>>,
        other: impl Iterator<Item = Option<&'a [u8]>>,
    ) -> Vec<&'static str> {
        let pairs = self.table().said.iter().zip(one.zip(other));
        let mut differs: Vec<&str> =
            pairs.filter(|(_, (one, other))| one != other).map(|((_, column), _)| *column).collect();
        differs.sort_by_key(|differs| self.columns().iter().position(|column| column == differs));
        differs
    }

    /// Example records, good and bad.
    pub fn samples(self) -> Samples {
        match self {
            Self::Debts => debts::SAMPLES,
            Self::Claims => claims::SAMPLES,
            Self::Transactions => transactions::SAMPLES,
            Self::Messages => messages::SAMPLES,
        }
    }

    /// Reads the header record (without its line end, with or without a byte order mark): columns are found by name,
    /// in any order and capitalisation; those that the kind does not know are ignored. An empty one is that of a file
    /// without a header: lines of JSON, whose objects name the columns themselves.
    pub fn read_header(self, record: &[u8], limits: &Limits) -> Result<Layout, HeaderError> {
        self.read_header_as(record, &Reading::default(), limits)
    }

    /// As [`read_header`](Self::read_header), of a file that is read so.
    pub fn read_header_as(self, record: &[u8], reading: &Reading, limits: &Limits) -> Result<Layout, HeaderError> {
        Layout::read(self, record, reading, limits)
    }

    /// Parses and checks a chunk of whole records, on the current rayon pool; the last one may lack its line end.
    /// Never fails: what is wrong becomes a reject. Rows and rejects are in the order of the file.
    ///
    /// # Panics
    /// When the chunk is so large that its tuples exceed 4 GiB.
    pub fn parse(self, chunk: &[u8], first_line: u64, layout: &Layout, owner: &Owner, rules: &Rules) -> ParsedChunk {
        match self {
            Self::Claims => parse::parse(&Claims::new(owner, rules), chunk, first_line, layout, rules),
            Self::Debts => parse::parse(&Debts::new(owner, rules), chunk, first_line, layout, rules),
            Self::Transactions => parse::parse(&Transactions::new(owner, rules), chunk, first_line, layout, rules),
            Self::Messages => parse::parse(&Messages::new(owner), chunk, first_line, layout, rules),
        }
    }
}

/// A word that names no kind.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("'{0}' is no kind of file; there are: {all}", all = Kind::VARIANTS.join(", "))]
pub struct UnknownKind(pub String);

fn unknown(word: &str) -> UnknownKind {
    UnknownKind(word.to_owned())
}
