//! What a client says by parameters of how its file is written.

use gristmill_pipelines::{Kind, Said};

use crate::params::Params;

/// Takes it all. What is said of columns is of those of the kind; that of no kind is not looked at.
pub(super) fn take(query: &mut Params, kind: Option<Kind>) -> Said {
    let mut said = Said::default();
    for parameter in Said::PARAMETERS {
        query.take_by(parameter, |text| said.say(kind, parameter, text));
    }
    said
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(query: &str, kind: Option<Kind>) -> Result<String, String> {
        let mut params = Params::of(&format!("/x?{query}").parse().unwrap());
        let said = take(&mut params, kind);
        params.finish().map(|()| said.to_string()).map_err(|problem| format!("{problem:?}"))
    }

    #[test]
    fn what_is_said_is_taken() {
        let debts = Some(Kind::Debts);
        for (query, expected) in [
            ("", ""),
            ("delimiter=;", "delimiter=semicolon"),
            ("delimiter=%09&header_line=4", "delimiter=tab&header_line=4"),
            ("delimiter=%7C", "delimiter=pipe"),
            ("delimiter=Comma&encoding=Latin1", "encoding=windows-1252&delimiter=comma"),
            ("decimal=comma&dates=dmy", "decimal=comma&dates=dmy"),
            ("columns=debtAmount:Valor%20Total", "columns=debtAmount:Valor Total"),
        ] {
            assert_eq!(said(query, debts).as_deref(), Ok(expected), "{query}");
        }
        assert_eq!(said("columns=debtAmount:x", None).as_deref(), Ok(""));
    }

    #[test]
    fn what_cannot_be_said_is_told() {
        for (query, told) in [
            ("delimiter=x", "delimiter: 'x' is none of comma, semicolon, tab, pipe"),
            ("decimal=.", "decimal: '.' is none of point, comma"),
            ("dates=us", "dates: 'us' is none of ymd, dmy, mdy"),
            ("header_line=0", "header_line: '0' is not the number of a line, from 1"),
            ("encoding=klingon", "encoding: 'klingon' names no encoding; it is one such as utf-8"),
            ("columns=amount:x", "columns: 'amount' is no column of debts"),
        ] {
            let found = said(query, Some(Kind::Debts)).unwrap_err();
            assert!(found.contains(told), "{query}: {found}");
        }
    }
}
