//! Query parameters and path ids, with errors that name what is wrong and what would be right.

use std::{fmt::Display, str::FromStr};

use axum::{
    RequestPartsExt,
    extract::{FromRequestParts, Path},
};
use gristmill_uploads::UploadId;
use http::{HeaderName, Uri, request::Parts};
use jiff::civil::Date;
use uuid::Uuid;

use crate::problem::{Code, FieldError, Problem, Result};

/// The query of a request, taken apart name by name. What nobody took is an error: a misspelt `policy` must not pass.
#[derive(Debug)]
pub(crate) struct Params {
    given: Vec<(String, String)>,
    known: Vec<&'static str>,
    errors: Vec<FieldError>,
}

impl Params {
    pub(crate) fn of(uri: &Uri) -> Self {
        Self::of_query(uri.query().unwrap_or_default())
    }

    /// Those of a query without its address.
    pub(crate) fn of_query(query: &str) -> Self {
        let given = form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        Self { given, known: Vec::new(), errors: Vec::new() }
    }

    /// All of them, as a query.
    pub(crate) fn to_query(&self) -> String {
        form_urlencoded::Serializer::new(String::new()).extend_pairs(&self.given).finish()
    }

    /// Adds a parameter that came another way: as a part of a form.
    pub(crate) fn add(&mut self, name: String, value: String) {
        self.given.push((name, value));
    }

    /// The parameter, if it is given and right.
    pub(crate) fn take<T>(&mut self, name: &'static str) -> Option<T>
    where
        T: FromStr<Err: Display>,
    {
        self.take_by(name, |value| value.parse().map_err(|error: T::Err| error.to_string()))
    }

    /// A date from the year 1 on: what is before is a date for us, and none for the database.
    pub(crate) fn day(&mut self, name: &'static str) -> Option<Date> {
        self.take_by(name, |value| {
            let date = value.parse().ok().filter(|date: &Date| date.year() > 0);
            date.ok_or_else(|| format!("'{value}' is not a date of the calendar such as 2026-01-31"))
        })
    }

    pub(crate) fn take_by<T>(
        &mut self,
        name: &'static str,
        parse: impl FnOnce(&str) -> Result<T, String>,
    ) -> Option<T> {
        self.known.push(name);
        let mut values = self.given.extract_if(.., |(given, _)| given == name).map(|(_, value)| value);
        let value = values.next()?;
        if values.next().is_some_and(|other| other != value) {
            drop(values);
            self.fail(name, "given twice with different values".to_owned());
            return None;
        }
        drop(values);
        parse(&value).map_err(|detail| self.fail(name, detail)).ok()
    }

    /// `true` or `false`; false when it is not given.
    pub(crate) fn flag(&mut self, name: &'static str) -> bool {
        let flag = |value: &str| match value {
            "" | "true" | "1" => Ok(true),
            "false" | "0" => Ok(false),
            other => Err(format!("'{other}' is neither true nor false")),
        };
        self.take_by(name, flag).unwrap_or(false)
    }

    /// The page size: 50 unless given.
    pub(crate) fn limit(&mut self) -> u32 {
        let limit = |value: &str| match value.parse() {
            Ok(limit @ 1..=200) => Ok(limit),
            _ => Err(format!("'{value}' is not a number from 1 to 200")),
        };
        self.take_by("limit", limit).unwrap_or(50)
    }

    pub(crate) fn id<Id: FromStr>(&mut self, name: &'static str) -> Option<Id> {
        self.take_by(name, |value| value.parse().map_err(|_| format!("'{value}' is not a UUID")))
    }

    /// Words with commas between them.
    pub(crate) fn list<T>(&mut self, name: &'static str) -> Vec<T>
    where
        T: FromStr<Err: Display>,
    {
        let parse = |words: &str| words.split(',').map(|word| word.trim().parse()).collect::<Result<Vec<T>, _>>();
        self.take_by(name, |words| parse(words).map_err(|error| error.to_string())).unwrap_or_default()
    }

    /// A time as RFC 3339 has it.
    pub(crate) fn time(&mut self, name: &'static str) -> Option<jiff::Timestamp> {
        let wrong = |word: &str| format!("'{word}' is not a time like 2026-01-31T09:00:00Z");
        self.take_by(name, |word| word.parse().map_err(|_| wrong(word)))
    }

    pub(crate) fn fail(&mut self, name: &str, detail: String) {
        self.errors.push(FieldError { field: name.to_owned(), detail });
    }

    /// As [`Params::finish`], for a route that cannot do without this parameter.
    pub(crate) fn finish_with<T>(
        mut self,
        name: &'static str,
        value: Option<T>,
        missing: impl FnOnce() -> String,
    ) -> Result<T> {
        if value.is_none() && !self.errors.iter().any(|error| error.field == name) {
            self.fail(name, missing());
        }
        self.finish()?;
        Ok(value.expect("without it there is an error"))
    }

    /// Nothing is left that nobody took, and nothing was wrong.
    pub(crate) fn finish(mut self) -> Result<()> {
        for (name, _) in std::mem::take(&mut self.given) {
            let known = if self.known.is_empty() { "none".to_owned() } else { self.known.join(", ") };
            self.fail(&name, format!("unknown; this route takes: {known}"));
        }
        match self.errors.first() {
            None => Ok(()),
            Some(first) => {
                let detail = format!("{}: {}", first.field, first.detail);
                Err(Problem::new(Code::InvalidParameter, detail).errors(self.errors))
            }
        }
    }
}

/// A header as text; a problem when it is something else.
pub(crate) fn text_header<'a>(headers: &'a http::HeaderMap, name: &HeaderName) -> Result<Option<&'a str>> {
    let Some(value) = headers.get(name) else { return Ok(None) };
    value.to_str().map(Some).map_err(|_| bad_header(name, "has characters beyond printable ASCII"))
}

pub(crate) fn bad_header(name: &HeaderName, detail: impl Display) -> Problem {
    Problem::new(Code::InvalidParameter, format!("header {name}: {detail}"))
        .errors(vec![FieldError { field: name.to_string(), detail: detail.to_string() }])
}

/// What a path names.
pub(crate) struct Named(pub(crate) String);

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let found = parts.extract::<Path<String>>().await;
        let Path(name) = found.map_err(|_| Problem::new(Code::NotFound, "The address is not readable."))?;
        Ok(Self(name))
    }
}

impl Named {
    /// As the id of something that GET `list` lists.
    pub(crate) fn id(&self, what: &str, list: &str) -> Result<Uuid> {
        self.0.parse().map_err(|_| {
            Problem::new(
                Code::NotFound,
                format!("'{}' is not the id of a {what}: those are UUIDs. GET {list} lists them.", self.0),
            )
        })
    }
}

/// The upload's id in the path.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UploadPath(pub(crate) UploadId);

impl<S: Send + Sync> FromRequestParts<S> for UploadPath {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self> {
        let Path(text) =
            parts.extract::<Path<String>>().await.map_err(|_| Problem::no_such_upload("(not readable)"))?;
        let id = text
            .parse()
            .map_err(|_| Problem::new(Code::NotFound, format!("'{text}' is not an upload's id: those are UUIDs.")))?;
        tracing::Span::current().record("upload_id", tracing::field::display(id));
        Ok(Self(id))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn params(query: &str) -> Params {
        Params::of(&format!("/x?{query}").parse().unwrap())
    }

    #[test]
    fn every_fault_is_named() {
        let mut given = params("limit=0&force=maybe&polcy=atomic&id=1");
        assert_eq!(given.limit(), 50);
        assert!(!given.flag("force"));
        assert_eq!(given.id::<Uuid>("id"), None);
        let problem = given.finish().unwrap_err();
        insta::assert_debug_snapshot!(problem);
    }

    #[test]
    fn what_is_right_passes() {
        let mut given = params("limit=200&force&name=a%20b&name=a+b");
        assert_eq!(given.limit(), 200);
        assert!(given.flag("force"));
        assert_eq!(given.take::<String>("name").as_deref(), Some("a b"));
        given.finish().unwrap();
    }
}
