//! A client's own rules: a pattern, and the name that it means. They win over everything else.

use regex::{Regex, RegexBuilder};
use uuid::Uuid;

use super::fold::fold;

/// Rules that a client may have.
pub const MAX_RULES: usize = 500;
/// Characters of a pattern or a name.
const MAX_CHARS: usize = 200;
/// Memory that a compiled expression may take. (Its time is linear in the descriptor, whatever the expression.)
const MAX_COMPILED: usize = 64 << 10;

/// How a rule looks at a descriptor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Test {
    /// The pattern's words stand in the descriptor one behind the other, whatever the punctuation and the capitals.
    Contains,
    /// The pattern is a regular expression that matches somewhere in the descriptor as it came, in any capitals.
    Regex,
}

/// One rule, ready to be asked.
#[derive(Debug, Clone)]
pub struct Rule {
    id: Uuid,
    name: Box<str>,
    pattern: Pattern,
}

#[derive(Debug, Clone)]
enum Pattern {
    /// Folded, with a blank at each end.
    Words(Box<str>),
    Regex(Regex),
}

/// A rule that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct BadRule {
    /// `pattern` or `name`.
    pub field: &'static str,
    /// What is wrong with it, and what would be right.
    pub detail: String,
}

impl Rule {
    /// Checks and compiles a rule.
    ///
    /// # Errors
    /// When pattern or name are empty or too long, or the expression is none or too large.
    pub fn new(id: Uuid, test: Test, pattern: &str, name: &str) -> Result<Self, BadRule> {
        let bad = |field, detail: &str| Err(BadRule { field, detail: detail.to_owned() });
        for (field, text) in [("pattern", pattern), ("name", name)] {
            if text.trim().is_empty() {
                return bad(field, "is empty");
            }
            if text.chars().count() > MAX_CHARS || text.contains(char::is_control) {
                return bad(field, "is longer than 200 characters, or has control characters");
            }
        }
        let pattern = match test {
            Test::Contains => match fold(pattern) {
                words if words.is_empty() => return bad("pattern", "has neither letters nor digits"),
                words => Pattern::Words(format!(" {words} ").into()),
            },
            Test::Regex => {
                let built = RegexBuilder::new(pattern)
                    .case_insensitive(true)
                    .size_limit(MAX_COMPILED)
                    .dfa_size_limit(MAX_COMPILED)
                    .nest_limit(20)
                    .build();
                match built {
                    Ok(regex) if regex.is_match("") => {
                        return bad("pattern", "matches the empty text, so it would match every descriptor");
                    }
                    Ok(regex) => Pattern::Regex(regex),
                    Err(regex::Error::CompiledTooBig(_)) => {
                        return bad(
                            "pattern",
                            "becomes too large when compiled: repeat less, or name fewer characters",
                        );
                    }
                    Err(error) => return bad("pattern", &format!("is no regular expression: {error}")),
                }
            }
        };
        Ok(Self { id, name: name.trim().into(), pattern })
    }

    fn holds(&self, descriptor: &str, padded: &str) -> bool {
        match &self.pattern {
            Pattern::Words(words) => padded.contains(&**words),
            Pattern::Regex(regex) => regex.is_match(descriptor),
        }
    }
}

/// A client's rules in the order in which they are asked.
#[derive(Debug, Clone, Default)]
pub struct Rules(Vec<Rule>);

impl Rules {
    /// In this order.
    pub fn new(rules: Vec<Rule>) -> Self {
        Self(rules)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The first rule that holds: its id, and the name it gives.
    pub fn find(&self, descriptor: &str) -> Option<(Uuid, &str)> {
        if self.0.is_empty() {
            return None;
        }
        let padded = format!(" {} ", fold(descriptor));
        self.0.iter().find(|rule| rule.holds(descriptor, &padded)).map(|rule| (rule.id, &*rule.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(test: Test, pattern: &str) -> Result<Rule, BadRule> {
        Rule::new(Uuid::nil(), test, pattern, "Name")
    }

    #[test]
    fn the_first_rule_that_holds_wins() {
        let rules = Rules::new(vec![
            rule(Test::Regex, r"^acme\s+\d{3}\b").unwrap(),
            Rule::new(Uuid::max(), Test::Contains, "Joe's Café", "Joe").unwrap(),
        ]);
        assert_eq!(rules.find("ACME 123 x"), Some((Uuid::nil(), "Name")));
        assert_eq!(rules.find("POS JOES CAFE-12"), Some((Uuid::max(), "Joe")));
        assert_eq!(rules.find("POS JOES CAFETERIA"), None);
        assert_eq!(rules.find("x acme 123"), None);
    }

    #[test]
    fn what_cannot_be_a_rule_is_said() {
        let detail = |test, pattern: &str| rule(test, pattern).unwrap_err().to_string();
        assert!(detail(Test::Regex, "(").contains("no regular expression"));
        assert!(detail(Test::Regex, "a*").contains("every descriptor"));
        assert!(detail(Test::Regex, r"\w{1000}").contains("too large"));
        assert!(detail(Test::Contains, "**").contains("neither letters"));
        assert!(detail(Test::Contains, " ").contains("empty"));
        assert!(detail(Test::Contains, &"x".repeat(201)).contains("200"));
    }
}
