//! What a client has saved of how its files are written, under a name.

use crate::{Said, charset::Sayer};

/// What is said of files, as it was saved.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Profile {
    /// What it is called.
    pub name: String,
    /// That of the header by which it is chosen ([`header_fingerprint`](crate::header_fingerprint)); `None`: it holds where it is named.
    pub header: Option<[u8; 32]>,
    /// What it says.
    pub said: Said,
}

/// Which profile holds for a file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum UseProfile {
    /// The one that its header chooses, if one does.
    #[default]
    ByHeader,
    /// This one.
    Named(Box<Profile>),
    /// None.
    Never,
}

impl UseProfile {
    /// The word that means none.
    pub const NEVER: &'static str = "none";

    /// As the parameter `profile=` says it.
    pub(crate) fn word(&self) -> Option<&str> {
        match self {
            Self::ByHeader => None,
            Self::Named(profile) => Some(&profile.name),
            Self::Never => Some(Self::NEVER),
        }
    }
}

impl Said {
    /// With what its profile says where it says nothing itself. What a `Content-Type` says of characters is said by libraries more often
    /// than by people, so that the profile goes before it.
    #[must_use]
    pub fn with_profile(mut self) -> Self {
        let UseProfile::Named(profile) = &self.profile else { return self };
        let Self { charset, delimiter, header_line, decimal, dates, columns, entry, sheet, profile: _ } =
            profile.said.clone();
        if !matches!(self.charset, Some((_, Sayer::Parameter))) {
            self.charset = charset.map(|(charset, _)| (charset, Sayer::Profile)).or(self.charset);
        }
        self.delimiter = self.delimiter.or(delimiter);
        self.header_line = self.header_line.or(header_line);
        self.decimal = self.decimal.or(decimal);
        self.dates = self.dates.or(dates);
        self.entry = self.entry.or(entry);
        self.sheet = self.sheet.or(sheet);
        if self.columns.is_empty() {
            self.columns = columns;
        }
        self
    }

    /// With what a profile says that the header has chosen, of what is read behind it.
    pub(crate) fn behind_header(&mut self, profile: &Profile) {
        self.decimal = self.decimal.or(profile.said.decimal);
        self.dates = self.dates.or(profile.said.dates);
    }

    /// Whether the profile, chosen by a header, says nothing else than was said.
    pub(crate) fn agrees(&self, profile: &Profile) -> bool {
        self.columns.is_empty() || profile.said.columns.is_empty() || self.columns == profile.said.columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{DateOrder, Decimal, Delimiter, Kind, charset::Charset};

    fn said(words: &[(&str, &str)]) -> Said {
        let mut said = Said::default();
        words.iter().for_each(|(name, text)| said.say(Some(Kind::Debts), name, text).unwrap());
        said
    }

    #[test]
    fn what_is_said_goes_before_what_was_saved() {
        let saved = said(&[
            ("encoding", "latin1"),
            ("delimiter", ";"),
            ("header_line", "3"),
            ("decimal", "comma"),
            ("dates", "dmy"),
            ("columns", "debtAmount:Valor"),
            ("sheet", "Plan1"),
        ]);
        let profile = Profile { name: "bank".to_owned(), header: None, said: saved.clone() };
        let named = |said: Said| Said { profile: UseProfile::Named(Box::new(profile.clone())), ..said };
        let all = named(Said::default()).with_profile();
        assert_eq!(all.charset, Some((Charset::Windows1252, Sayer::Profile)));
        assert_eq!(all, Said { charset: all.charset, profile: all.profile.clone(), ..saved });
        let own =
            named(said(&[("encoding", "utf-8"), ("delimiter", "|"), ("dates", "mdy"), ("columns", "debtAmount:V")]));
        let mixed = own.with_profile();
        assert_eq!((mixed.charset, mixed.delimiter), (Some((Charset::Utf8, Sayer::Parameter)), Some(Delimiter::Pipe)));
        assert_eq!(
            (mixed.decimal, mixed.dates, mixed.header_line),
            (Some(Decimal::Comma), Some(DateOrder::Mdy), Some(3))
        );
        assert_eq!(mixed.columns.to_string(), "debtAmount:V");
        let content_type = Said { charset: Some((Charset::Utf8, Sayer::ContentType)), ..named(Said::default()) };
        assert_eq!(content_type.with_profile().charset, Some((Charset::Windows1252, Sayer::Profile)));
        // A request is the same that names the same profile, whatever that says by then.
        assert_eq!(named(said(&[("dates", "mdy")])).to_string(), "dates=mdy&profile=bank");
        assert_eq!(Said { profile: UseProfile::Never, ..Said::default() }.to_string(), "profile=none");
    }
}
