//! What can go wrong between us and the API, in words that say what to do.

use std::fmt;

use reqwest::{StatusCode, Url};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// A request that did not get what it asked for.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// Nobody is there.
    #[error("no server answers at {api}")]
    Unreachable { api: Url, source: Box<dyn std::error::Error + Send + Sync> },
    /// The connection broke while the request or its answer was under way.
    #[error("the connection to {api} broke")]
    Broken { api: Url, source: Box<dyn std::error::Error + Send + Sync> },
    /// The key is missing or not known.
    #[error("{what}")]
    Key { what: String, todo: &'static str },
    /// The API says no.
    #[error("{0}")]
    Refused(Problem),
    /// Something else than the API answered.
    #[error("what answers at {api} is not a Gristmill API (status {status})")]
    Foreign { api: Url, status: StatusCode },
}

impl Failure {
    /// What to do about it; of a problem the API says so itself.
    pub(crate) fn advice(&self) -> Option<String> {
        let todo = match self {
            Self::Unreachable { .. } => "start one with `gristmill up`, or say where it is with --api or GRISTMILL_API",
            Self::Broken { .. } => "run it again; what the server has is shown by `gristmill uploads`",
            Self::Foreign { .. } => "say where the API is with --api or GRISTMILL_API",
            Self::Key { todo, .. } => todo,
            Self::Refused(problem) => return problem.answer(),
        };
        Some(todo.to_owned())
    }

    /// Whether the same may go well a little later.
    pub(super) fn is_passing(&self) -> bool {
        match self {
            Self::Unreachable { .. } | Self::Broken { .. } => true,
            Self::Key { .. } => false,
            Self::Refused(problem) => {
                matches!(problem.status, 408 | 502 | 503 | 504)
                    || problem.is("incomplete-upload")
                    || problem.is("idempotency-key-in-flight")
            }
            // A proxy whose server is away answers in its own words.
            Self::Foreign { status, .. } => matches!(status.as_u16(), 502..=504),
        }
    }

    /// Whether the same will go well for who has all the time: too much of it at once, and faults of the server, pass, too.
    pub(super) fn passes_in_time(&self) -> bool {
        self.is_passing() || matches!(self, Self::Refused(problem) if problem.status == 429 || problem.status >= 500)
    }
}

/// An error answer of the API (`application/problem+json`, RFC 9457).
#[derive(Debug, Deserialize, Serialize)]
pub(crate) struct Problem {
    #[serde(rename = "type")]
    kind: String,
    title: String,
    status: u16,
    #[serde(default)]
    detail: String,
    #[serde(default)]
    instance: String,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    errors: Vec<FieldError>,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    questions: Vec<Question>,
    /// What else it says, to be kept with it.
    #[serde(flatten)]
    more: Map<String, Value>,
}

/// What a file leaves open.
#[derive(Debug, Deserialize, Serialize)]
struct Question {
    parameter: String,
    #[serde(default)]
    choices: Vec<String>,
    #[serde(flatten)]
    more: Map<String, Value>,
}

#[derive(Debug, Deserialize, Serialize)]
struct FieldError {
    field: String,
    detail: String,
}

impl Problem {
    /// Whether it is the problem with this code.
    pub(super) fn is(&self, code: &str) -> bool {
        self.kind.rsplit('/').next() == Some(code)
    }

    /// Whether the file that was sent is refused, rather than how it was sent or who sent it.
    pub(super) fn is_of_the_file(&self) -> bool {
        let of_its_name = || !self.errors.is_empty() && self.errors.iter().all(|error| error.field == "filename");
        match self.status {
            400 | 413 | 415 | 422 if self.is("invalid-parameter") => of_its_name(),
            400 | 413 | 415 | 422 => !self.is("incomplete-upload"),
            409 => self.is("upload-cancelled"),
            _ => false,
        }
    }

    /// What to give with the command where a file can be read in more than one way: parameters of the API are its flags.
    fn answer(&self) -> Option<String> {
        let Question { parameter, choices, .. } = self.questions.first()?;
        Some(answer(parameter, choices))
    }

    pub(super) fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { title, status, detail, instance, errors, .. } = self;
        write!(f, "{title} ({status})")?;
        if !detail.is_empty() {
            write!(f, "\n  {detail}")?;
        }
        for FieldError { field, detail: what } in errors {
            if !(detail.contains(field) && detail.contains(what)) {
                write!(f, "\n  - {field}: {what}")?;
            }
        }
        if *status >= 500 && !instance.is_empty() {
            write!(f, "\n  (request {instance})")?;
        }
        Ok(())
    }
}

/// What to give with the command where a file leaves open what this parameter of the API says.
pub(super) fn answer(parameter: &str, choices: &[String]) -> String {
    let flag = format!("--{}", parameter.replace('_', "-"));
    let given: Vec<String> = choices.iter().map(|choice| format!("{flag} {}", word(choice))).collect();
    format!("run it again with {}", if given.is_empty() { flag } else { given.join(" or ") })
}

/// A text as one word of a shell.
fn word(text: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.' | ':' | ',');
    if text.chars().all(is_plain) { text.to_owned() } else { format!("'{}'", text.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_once() {
        let problem: Problem = serde_json::from_str(
            r#"{"type":"/problems/wrong-header","title":"The file's header is wrong","status":422,
                "detail":"the header lacks the columns debtId and email","instance":"req-1",
                "errors":[{"field":"debtId","detail":"missing"},{"field":"email","detail":"missing"}]}"#,
        )
        .unwrap();
        assert!(problem.is("wrong-header"));
        assert_eq!(
            problem.to_string(),
            "The file's header is wrong (422)\n  the header lacks the columns debtId and email\n  - debtId: missing\n  - email: missing"
        );
        let problem: Problem = serde_json::from_str(
            r#"{"type":"/problems/invalid-parameter","title":"A parameter is wrong","status":400,
                "detail":"kind: 'x' is no kind","errors":[{"field":"kind","detail":"'x' is no kind"}]}"#,
        )
        .unwrap();
        assert_eq!(problem.to_string(), "A parameter is wrong (400)\n  kind: 'x' is no kind");
        assert_eq!(problem.answer(), None);
    }

    #[test]
    fn a_question_is_answered_by_a_flag() {
        let advice = |parameter: &str, choices: &[&str]| {
            let problem = serde_json::json!({
                "type": "/problems/ambiguous-file", "title": "t", "status": 422, "detail": "Send it.",
                "questions": [{ "parameter": parameter, "choices": choices, "examples": [] }],
            });
            Failure::Refused(serde_json::from_value(problem).unwrap()).advice().unwrap()
        };
        assert_eq!(advice("dates", &["dmy", "mdy"]), "run it again with --dates dmy or --dates mdy");
        assert_eq!(advice("header_line", &[]), "run it again with --header-line");
        assert_eq!(
            advice("columns", &["debtId:id", "debtId:n\u{ba} d'x"]),
            "run it again with --columns debtId:id or --columns 'debtId:n\u{ba} d'\\''x'"
        );
    }
}
