//! What is said of how a file is written; the server finds the rest.

use clap::Args;
use gristmill_pipelines::{Kind, Said};

use crate::report::Advice;

/// What is said of how the file is written.
#[derive(Args, Debug, Default)]
pub(in crate::client) struct SaidOfFile {
    /// What separates its fields: comma, semicolon, tab or pipe [default: found]
    #[arg(long)]
    delimiter: Option<String>,

    /// The characters that it is written in, such as windows-1252 [default: found]
    #[arg(long)]
    encoding: Option<String>,

    /// The decimal mark of its amounts: point or comma [default: found]
    #[arg(long, value_name = "MARK")]
    decimal: Option<String>,

    /// The order of the parts of its dates: dmy, mdy or ymd [default: found]
    #[arg(long, value_name = "ORDER")]
    dates: Option<String>,

    /// The line of its header, from 1 [default: found]
    #[arg(long, value_name = "LINE")]
    header_line: Option<String>,

    /// Which of its columns are which, such as "debtAmount:Valor Total,debtId:#3" [default: found by their names]
    #[arg(long)]
    columns: Option<String>,

    /// Which file of a ZIP archive it is [default: the only one of rows]
    #[arg(long, value_name = "NAME")]
    entry: Option<String>,

    /// Which sheet of a workbook it is: its name, or #2 for the second one [default: the only one that is shown and has rows]
    #[arg(long, value_name = "NAME")]
    sheet: Option<String>,
}

impl SaidOfFile {
    /// As the API takes it.
    pub(in crate::client) fn parameters(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let said = [
            ("delimiter", &self.delimiter),
            ("encoding", &self.encoding),
            ("decimal", &self.decimal),
            ("dates", &self.dates),
            ("header_line", &self.header_line),
            ("columns", &self.columns),
            ("entry", &self.entry),
            ("sheet", &self.sheet),
        ];
        said.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)))
    }

    /// As the reader of a file of this kind takes it.
    pub(in crate::client) fn said(&self, kind: Kind) -> Result<Said, Advice> {
        let mut said = Said::default();
        for (parameter, value) in self.parameters() {
            said.say(Some(kind), parameter, value).map_err(|wrong| {
                let flag = format!("--{}", parameter.replace('_', "-"));
                Advice::new(format!("{flag}: {wrong}"), "see `gristmill check --help`")
            })?;
        }
        Ok(said)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_said_is_sent() {
        assert_eq!(SaidOfFile::default().parameters().count(), 0);
        let said =
            SaidOfFile { dates: Some("dmy".to_owned()), header_line: Some("4".to_owned()), ..SaidOfFile::default() };
        assert_eq!(said.parameters().collect::<Vec<_>>(), [("dates", "dmy"), ("header_line", "4")]);
        assert_eq!(said.said(Kind::Debts).unwrap().to_string(), "header_line=4&dates=dmy");
    }

    #[test]
    fn what_cannot_be_said_names_its_flag() {
        let said = SaidOfFile { header_line: Some("x".to_owned()), ..SaidOfFile::default() };
        let wrong = said.said(Kind::Debts).unwrap_err();
        assert_eq!(wrong.what, "--header-line: 'x' is not the number of a line, from 1");
    }
}
