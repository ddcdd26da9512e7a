//! Our shell scripts, run so that a list of processes shows their names and not their text.

use std::process::Command;

/// `/bin/sh` with one of our scripts, which is called `name` and gets the arguments that are added.
pub(super) fn command(name: &str, script: &'static str) -> Command {
    let mut command = Command::new("/bin/sh");
    command.env("GRISTMILL_SCRIPT", script).args(["-c", "eval \"$GRISTMILL_SCRIPT\"", name]);
    command
}
