use std::io;

use gristmill_pipelines::Question;
use zip::result::ZipError;

/// Why the table of a file is not read. Says what to do.
#[derive(Debug, thiserror::Error)]
pub enum ContainerError {
    /// The file is none that is read, or is damaged.
    #[error("{0}")]
    Unreadable(String),
    /// There is more than one table, or not the one that was said.
    #[error(transparent)]
    Asks(Question),
    /// It has more than the limits allow.
    #[error(transparent)]
    Limit(#[from] Exceeded),
    /// There is no table.
    #[error("{0}")]
    Empty(String),
    /// What the file is read from failed.
    #[error("the file could not be read")]
    Io(#[source] io::Error),
}

/// A limit that a file exceeds.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{0}")]
pub struct Exceeded(pub(crate) String);

impl ContainerError {
    /// There is more than one of these, and one is to be said.
    pub(crate) fn which(parameter: &'static str, what: &str, things: &str, names: &[String]) -> Self {
        let sentence =
            format!("the {what} has {} {things}: {}. Send {parameter}= with one of them", names.len(), listed(names));
        Self::Asks(Question { parameter, choices: names.to_vec(), examples: Vec::new(), sentence })
    }

    /// What was said is not there.
    pub(crate) fn no_such(parameter: &'static str, what: &str, wanted: &str, names: &[String]) -> Self {
        let sentence = format!("the {what} has no {parameter} '{wanted}'; it has {}", listed(names));
        Self::Asks(Question { parameter, choices: names.to_vec(), examples: Vec::new(), sentence })
    }

    pub(crate) fn damaged(what: &str, why: impl std::fmt::Display) -> Self {
        Self::Unreadable(format!("{what} is damaged or was cut off ({why}): send it again"))
    }
}

/// Names that are shown at most.
const SHOWN: usize = 20;

fn listed(names: &[String]) -> String {
    let shown: Vec<&str> = names.iter().take(SHOWN).map(String::as_str).collect();
    match names.len().saturating_sub(SHOWN) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// An error of what is read through: a limit, or that the source failed, or that the file is damaged.
impl From<io::Error> for ContainerError {
    fn from(error: io::Error) -> Self {
        if let Some(exceeded) = error.get_ref().and_then(|inner| inner.downcast_ref::<Exceeded>()) {
            return Self::Limit(exceeded.clone());
        }
        match error.kind() {
            io::ErrorKind::InvalidData
            | io::ErrorKind::InvalidInput
            | io::ErrorKind::UnexpectedEof
            | io::ErrorKind::Other => Self::damaged("the file", error),
            _ => Self::Io(error),
        }
    }
}

impl From<ZipError> for ContainerError {
    fn from(error: ZipError) -> Self {
        match error {
            ZipError::Io(error) => error.into(),
            error => Self::damaged("the archive", error),
        }
    }
}

impl From<quick_xml::Error> for ContainerError {
    fn from(error: quick_xml::Error) -> Self {
        match error {
            quick_xml::Error::Io(error) => match error.get_ref().and_then(|inner| inner.downcast_ref::<Exceeded>()) {
                Some(exceeded) => Self::Limit(exceeded.clone()),
                None => io::Error::new(error.kind(), error.to_string()).into(),
            },
            error => Self::damaged("the workbook", error),
        }
    }
}
