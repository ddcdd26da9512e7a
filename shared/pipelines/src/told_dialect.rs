//! How a file is written, as one line for people.

use std::fmt;

use crate::{Container, Delimiter, Dialect};

/// `windows-1252, separated by ;, header on line 4, decimal comma, dates dmy`.
impl fmt::Display for Dialect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self.container, &self.sheet) {
            (Some(container), Some(sheet)) => write!(f, "sheet {sheet} of a workbook (.{container})")?,
            _ => write!(f, "{}", self.encoding)?,
        }
        if let Some(Container::JsonArray) = self.container {
            f.write_str(", a JSON array, whose elements are its lines")?;
        }
        if let Some(entry) = &self.entry {
            write!(f, ", the file {entry} of a ZIP archive")?;
        }
        match self.delimiter {
            None => {}
            Some(Delimiter::Comma) if self.sheet.is_some() => {}
            Some(Delimiter::Tab) => f.write_str(", separated by tabs")?,
            Some(delimiter) => write!(f, ", separated by {}", char::from(delimiter.byte()))?,
        }
        if self.header_line > 1 {
            write!(f, ", header on line {}", self.header_line)?;
        }
        if let Some(decimal) = self.decimal {
            write!(f, ", decimal {decimal}")?;
        }
        if let Some(dates) = self.dates {
            write!(f, ", dates {dates}")?;
        }
        if self.columns.is_some() {
            f.write_str(", columns by other names")?;
        }
        if let Some(profile) = &self.profile {
            write!(f, ", by profile {profile}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use crate::{Container, DateOrder, Decimal, Delimiter, Dialect, charset::Charset};

    #[test]
    fn what_is_known_is_one_line() {
        let dialect = Dialect {
            encoding: Charset::Windows1252,
            delimiter: Some(Delimiter::Semicolon),
            header_line: 4,
            decimal: Some(Decimal::Comma),
            dates: Some(DateOrder::Dmy),
            ..Dialect::default()
        };
        assert_eq!(dialect.to_string(), "windows-1252, separated by ;, header on line 4, decimal comma, dates dmy");
        let tabs = Dialect { delimiter: Some(Delimiter::Tab), columns: Some(vec![Some(0)]), ..Dialect::default() };
        assert_eq!(tabs.to_string(), "utf-8, separated by tabs, columns by other names");
        let saved = Dialect { profile: Some("bank".to_owned()), ..tabs };
        assert_eq!(saved.to_string(), "utf-8, separated by tabs, columns by other names, by profile bank");
        let array = Dialect { container: Some(Container::JsonArray), ..Dialect::default() };
        assert_eq!(array.to_string(), "utf-8, a JSON array, whose elements are its lines");
        assert_eq!(serde_json::to_value(&array).unwrap()["container"], "json array");
        let sheet = Dialect {
            container: Some(Container::Xlsx),
            sheet: Some("Plan 1".to_owned()),
            delimiter: Some(Delimiter::Comma),
            header_line: 3,
            ..Dialect::default()
        };
        assert_eq!(sheet.to_string(), "sheet Plan 1 of a workbook (.xlsx), header on line 3");
        let entry = Dialect { container: Some(Container::Zip), entry: Some("a.csv".to_owned()), ..Dialect::default() };
        assert_eq!(entry.to_string(), "utf-8, the file a.csv of a ZIP archive");
        assert_eq!(Dialect { encoding: Charset::Utf16Le, ..Dialect::default() }.to_string(), "utf-16le");
    }
}
