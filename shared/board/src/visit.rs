//! One look at a page: by which address, and what who looks may do.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use http::Uri;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// One look at a page.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Visit {
    /// Stands before every address in a page: `/admin/jobs`, or nothing.
    pub base: Arc<str>,
    /// What stands behind the `?`.
    pub query: PageQuery,
    /// Whether who looks may press buttons. To others a page is shown without them.
    pub may_act: bool,
    /// The name of the queue's broker, for people.
    pub(crate) broker: &'static str,
    segments: Vec<String>,
}

impl Visit {
    /// The parts of the address below the base, without escapes: `["orders", "7"]`.
    #[must_use]
    pub fn segments(&self) -> Vec<&str> {
        self.segments.iter().map(String::as_str).collect()
    }

    /// Those behind the page's own: `["7"]` of `/orders/7`.
    #[must_use]
    pub fn rest(&self) -> Vec<&str> {
        self.segments.iter().skip(1).map(String::as_str).collect()
    }
}

/// What stands behind the `?` of an address.
#[derive(Debug, Clone, Default)]
pub struct PageQuery(BTreeMap<String, String>);

impl PageQuery {
    /// Reads `state=dead&queue=default`. Of a name that is there twice the last value counts.
    #[must_use]
    pub fn parse(query: &str) -> Self {
        let pairs = form_urlencoded::parse(query.as_bytes());
        Self(pairs.map(|(name, value)| (name.into_owned(), value.into_owned())).collect())
    }

    /// A value that is not blank.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(|value| value.trim()).filter(|value| !value.is_empty())
    }

    /// The same as text, for a field of a form.
    #[must_use]
    pub fn text(&self, name: &str) -> &str {
        self.get(name).unwrap_or("")
    }

    /// The same as what it stands for; none: it is not there, or stands for nothing.
    #[must_use]
    pub fn value<T: std::str::FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.parse().ok()
    }

    /// The same question with one thing changed, as a query.
    #[must_use]
    pub fn with(&self, name: &str, value: &str) -> String {
        let mut pairs = self.0.clone();
        pairs.insert(name.to_owned(), value.to_owned());
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(pairs.iter().filter(|(_, value)| !value.is_empty()));
        query.finish()
    }
}

/// Where a list goes on: older ones behind this page, the newest where this is not the first page.
#[derive(Debug, Clone)]
pub struct Pages {
    /// The query of the next page, if there is one.
    pub older: Option<String>,
    /// The query of the first page, if this is another one.
    pub newest: Option<String>,
}

impl Pages {
    /// Of the answer to `asked`; `next` is what the next page is asked for with (`before`), if there is one.
    #[must_use]
    pub fn of(asked: &PageQuery, next: Option<impl ToString>) -> Self {
        let older = next.map(|next| asked.with("before", &next.to_string()));
        Self { older, newest: asked.get("before").map(|_| asked.with("before", "")) }
    }

    /// Of a list that was asked for `size` rows: behind a full one there may be more, older than the last one's `key`.
    #[must_use]
    pub fn of_rows<T, K: ToString>(asked: &PageQuery, rows: &[T], size: usize, key: impl Fn(&T) -> K) -> Self {
        Self::of(asked, rows.last().filter(|_| rows.len() == size).map(key))
    }
}

/// An address below the base.
#[derive(Debug, Clone)]
pub(crate) struct PageUrl {
    segments: Vec<String>,
    query: PageQuery,
}

impl PageUrl {
    /// `/jobs?state=dead`; none when it is no such thing.
    pub(crate) fn parse(to: &str) -> Option<Self> {
        let uri: Uri = to.parse().ok()?;
        let path = uri.path().strip_prefix('/')?;
        let segments = path.split('/').filter(|segment| !segment.is_empty());
        let decoded = segments.map(|segment| percent_decode_str(segment).decode_utf8().map(Cow::into_owned));
        Some(Self {
            segments: decoded.collect::<Result<_, _>>().ok()?,
            query: PageQuery::parse(uri.query().unwrap_or_default()),
        })
    }

    /// The page's own part; nothing for the overview.
    pub(crate) fn section(&self) -> &str {
        self.segments.first().map_or("", String::as_str)
    }

    pub(crate) fn visit(&self, base: &Arc<str>, broker: &'static str, may_act: bool) -> Visit {
        let (base, query, segments) = (Arc::clone(base), self.query.clone(), self.segments.clone());
        Visit { base, query, may_act, broker, segments }
    }
}

/// What stands for itself in an address.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A text as one part of an address: `a/b` is `a%2Fb`.
#[must_use]
pub(crate) fn escaped(text: &str) -> String {
    utf8_percent_encode(text, PLAIN).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_read_without_its_escapes() {
        let url = PageUrl::parse("/queues/a%2Fb%20c?state=dead&x=+y+").unwrap();
        let visit = url.visit(&Arc::from("/admin"), "Redis", false);
        assert_eq!((url.section(), visit.segments(), visit.rest()), ("queues", vec!["queues", "a/b c"], vec!["a/b c"]));
        assert_eq!(
            (visit.query.text("state"), visit.query.get("x"), visit.query.get("none")),
            ("dead", Some("y"), None)
        );
        assert_eq!(escaped("a/b c"), "a%2Fb%20c");
        for none in ["", "jobs", "/%FF"] {
            assert!(PageUrl::parse(none).is_none(), "{none}");
        }
    }

    #[test]
    fn a_list_goes_on_with_the_same_question() {
        let asked = PageQuery::parse("state=dead&before=7");
        let pages = Pages::of(&asked, Some(3));
        assert_eq!(pages.older.as_deref(), Some("before=3&state=dead"));
        assert_eq!(pages.newest.as_deref(), Some("state=dead"));
        assert_eq!(Pages::of_rows(&asked, &[5, 3], 2, |row| *row).older, pages.older);
        assert!(Pages::of_rows(&asked, &[5], 2, |row| *row).older.is_none());
        let last = Pages::of(&PageQuery::parse("state=dead"), None::<i32>);
        assert!(last.older.is_none() && last.newest.is_none());
    }
}
