//! Asking before something is done that cannot be taken back.

use std::io::{BufRead, IsTerminal, Write};

use crate::report::Advice;

/// Whether a person says yes. Where there is none, an error says how to say it.
pub(super) fn confirm(what: &str, question: &str) -> anyhow::Result<bool> {
    if !std::io::stdin().is_terminal() || !std::io::stderr().is_terminal() {
        return Err(Advice::new(what, "if that is what you want, say --yes").into());
    }
    eprint!("{what}. {question} [y/N] ");
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
