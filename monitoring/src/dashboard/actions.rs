//! The product's buttons. The board puts its frame around them: only an operator acts, and the audit log keeps it.

pub(super) mod bills;
pub(super) mod claims;
pub(super) mod keys;
pub(super) mod mail;
pub(super) mod uploads;
pub(super) mod webhooks;
