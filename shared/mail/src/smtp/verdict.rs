//! What a server's refusal means: for the mail, for the address, or for nothing but the moment.

use super::Outcome;

/// What was said no to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    Rcpt,
    Data,
    /// The mail itself.
    End,
}

impl Stage {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Rcpt => "RCPT",
            Self::Data => "DATA",
            Self::End => "the mail",
        }
    }
}

/// By the enhanced status (RFC 3463) where there is one, else by the code and what it answers.
pub(super) fn verdict(stage: Stage, code: u16, text: &str) -> Outcome {
    let said = format!("{code} {text}");
    let enhanced = enhanced(text);
    match (code, enhanced) {
        (421, _) => Outcome::Unreachable(said),
        (..500, _) => Outcome::Deferred(said),
        // It wants to know who we are: a matter of configuration.
        (530 | 534 | 535 | 538, _) => Outcome::Unreachable(said),
        // No such mailbox, no such system, bad address, moved, takes no mail at all; or the mailbox is disabled.
        (_, Some((1, 1 | 2 | 3 | 6 | 10) | (2, 1))) => Outcome::Dead(said),
        (_, Some(_)) => Outcome::Refused(said),
        (550 | 551 | 553, None) if stage == Stage::Rcpt => Outcome::Dead(said),
        (_, None) => Outcome::Refused(said),
    }
}

/// `5.1.1 …` as (1, 1).
fn enhanced(text: &str) -> Option<(u16, u16)> {
    let mut parts = text.split_whitespace().next()?.splitn(3, '.');
    let (class, subject, detail) = (parts.next()?, parts.next()?, parts.next()?);
    if class != "5" {
        return None;
    }
    Some((subject.parse().ok()?, detail.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_understood() {
        let dead = |stage, code, text| matches!(verdict(stage, code, text), Outcome::Dead(_));
        let refused = |stage, code, text| matches!(verdict(stage, code, text), Outcome::Refused(_));
        let deferred = |stage, code, text| matches!(verdict(stage, code, text), Outcome::Deferred(_));
        let away = |stage, code, text| matches!(verdict(stage, code, text), Outcome::Unreachable(_));
        assert!(dead(Stage::Rcpt, 550, "5.1.1 no such user"));
        assert!(dead(Stage::End, 550, "5.1.1 no such user"), "LMTP behind the server");
        assert!(dead(Stage::Rcpt, 556, "5.1.10 null MX"));
        assert!(dead(Stage::Rcpt, 550, "mailbox unavailable"));
        assert!(refused(Stage::Rcpt, 550, "5.7.1 relaying denied"));
        assert!(refused(Stage::Rcpt, 552, "5.2.2 mailbox full"));
        assert!(refused(Stage::End, 554, "5.7.1 looks like spam"));
        assert!(refused(Stage::End, 550, "no"), "the mail, not the address");
        assert!(deferred(Stage::Rcpt, 450, "4.2.0 greylisted"));
        assert!(deferred(Stage::End, 451, "later"));
        assert!(away(Stage::Rcpt, 421, "4.3.2 shutting down"));
        assert!(away(Stage::Rcpt, 530, "5.7.0 authenticate first"));
    }
}
