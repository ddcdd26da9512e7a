/// A setting that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{field}: {detail}")]
pub struct BadSetting {
    /// Which one.
    pub field: &'static str,
    /// What is wrong with it, and what would be right.
    pub detail: String,
}

/// What the sections' checks have found, in the order of the checks.
#[derive(Debug, Default)]
pub(crate) struct Checks(pub(super) Vec<BadSetting>);

impl Checks {
    /// Notes the setting unless it is good.
    pub(crate) fn require(&mut self, good: bool, field: &'static str, detail: &str) {
        if !good {
            self.refuse(field, detail);
        }
    }

    /// Notes that the setting cannot be.
    pub(crate) fn refuse(&mut self, field: &'static str, detail: &str) {
        self.0.push(BadSetting { field, detail: detail.to_owned() });
    }
}

/// Whether it begins as an address of the web does.
pub(crate) fn is_web(address: &str) -> bool {
    address.starts_with("https://") || address.starts_with("http://")
}
