//! [`gristmill_pipelines::Dialect`] for the API's document.

use utoipa::ToSchema;

/// How a file is written, as far as it is otherwise than UTF-8 with commas, or was said: by whoever sent it, or found in it.
#[derive(Debug, ToSchema)]
#[schema(as = Dialect)]
pub struct FileDialect {
    /// `json array`: the file is one, and its lines are its elements. `zip`: an archive. `xlsx`, `ods`: a workbook, whose rows are the
    /// lines.
    #[schema(example = "xlsx")]
    pub container: Option<String>,
    /// Which file of an archive it is.
    #[schema(example = "2024/january.csv")]
    pub entry: Option<String>,
    /// Which sheet of a workbook it is.
    #[schema(example = "January")]
    pub sheet: Option<String>,
    /// The characters, by their usual name; what is nothing but ASCII is `utf-8`.
    #[schema(example = "windows-1252")]
    pub encoding: String,
    /// What separates fields: `,`, `;`, `|` or a tab. Not there: the file is lines of JSON.
    #[schema(example = ";")]
    pub delimiter: Option<String>,
    /// The line of the header, from 1; 0: the file is lines of JSON.
    #[schema(example = 4)]
    pub header_line: u64,
    /// A line `sep=` stands before the header. Not there: none does.
    #[schema(required = false)]
    pub sep_line: bool,
    /// The decimal mark of amounts, `point` or `comma`, where it was said or found.
    #[schema(example = "comma")]
    pub decimal: Option<String>,
    /// The order of dates, `dmy`, `mdy` or `ymd`, where it was said or found.
    #[schema(example = "dmy")]
    pub dates: Option<String>,
    /// For each column of the kind its place in the header, from 0, where they were not found by their own names; null: the
    /// file has none.
    #[schema(example = json!([0, 1, 2, 3, 4, 5]))]
    pub columns: Option<Vec<Option<u64>>>,
    /// The profile that holds for it: named, or chosen by the header.
    #[schema(example = "bank")]
    pub profile: Option<String>,
    /// Which of these were said by whoever sent it, by the names of the parameters.
    #[schema(required = false, example = json!(["dates"]))]
    pub said: Vec<String>,
    /// What shows those that were found.
    #[schema(required = false)]
    pub evidence: Vec<FileEvidence>,
}

/// A place in a file that shows how it is written.
#[derive(Debug, ToSchema)]
#[schema(as = DialectEvidence)]
pub struct FileEvidence {
    /// What it shows, by the name of its parameter.
    #[schema(example = "decimal")]
    pub what: String,
    /// The line, from 1.
    #[schema(example = 2, minimum = 1)]
    pub line: u64,
    /// What stands there.
    #[schema(example = "1.234,56")]
    pub text: String,
}
