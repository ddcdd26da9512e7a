//! Who says which merchant a client's transaction names.

use serde::{Deserialize, Serialize};

use crate::{
    Settings,
    settings::{Checks, is_web},
};

/// Who says which merchant a transaction names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, sqlx::Type, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[sqlx(type_name = "text", rename_all = "snake_case")]
pub enum Heuristic {
    /// The dictionary that is built in.
    BuiltIn,
    /// An endpoint of the client's own, `heuristic_url`. Files are normalized by the dictionary all the same.
    External,
}

/// Notes what of the merchants' section cannot be.
pub(crate) fn check(settings: &Settings, checks: &mut Checks) {
    let address = settings.heuristic_url.as_deref();
    checks.require(
        settings.heuristic == Heuristic::BuiltIn || address.is_some(),
        "heuristic_url",
        "is needed for an external heuristic",
    );
    checks.require(
        address.is_none_or(|address| is_web(address) && address.len() <= 2_048),
        "heuristic_url",
        "is no address such as https://example.com/normalize of at most 2,048 characters",
    );
}
