//! The product's pages. Each file has a page, with those below it, its buttons and its cards.

pub(super) mod bills;
pub(super) mod claims;
mod clients;
pub(super) mod keys;
pub(super) mod mail;
pub(super) mod normalizations;
pub(super) mod scheduler;
pub(super) mod uploads;
pub(super) mod usage;
pub(super) mod webhooks;
