//! What a file leaves open, and who sends it can say.

use std::fmt;

/// What is to be said of a file before it can be read for certain. Shows as a sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Question {
    /// The parameter that says it.
    pub parameter: &'static str,
    /// What it may say, as far as that can be listed.
    pub choices: Vec<String>,
    /// Where the file shows that it is open.
    pub examples: Vec<Example>,
    /// What was found, and what to send.
    pub sentence: String,
}

/// A value of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Example {
    /// Its line, from 1.
    pub line: u64,
    /// It, or the beginning of it.
    pub value: String,
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.sentence)
    }
}

impl std::error::Error for Question {}
