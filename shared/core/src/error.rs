//! Errors of any type.

use std::error::Error;

/// The cause of a failure, whatever its type.
pub type Source = Box<dyn Error + Send + Sync>;

/// An error with all its causes, on one line. A cause that the text before it ends with is not repeated.
#[must_use]
pub fn chain(error: &(dyn Error + 'static)) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{text}")]
    struct Link {
        text: &'static str,
        source: Option<Box<Self>>,
    }

    fn link(text: &'static str, source: Option<Link>) -> Link {
        Link { text, source: source.map(Box::new) }
    }

    #[test]
    fn each_cause_is_told_once() {
        let error = link("reading the header", Some(link("line 3: no comma", Some(link("no comma", None)))));
        assert_eq!(chain(&error), "reading the header: line 3: no comma");
        assert_eq!(chain(&link("alone", None)), "alone");
    }
}
