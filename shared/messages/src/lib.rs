//! Messages, as far as more than one role takes part: what they cost by days ([`usage`]), and what is kept of the reports that
//! they name ([`MessageHooks`]).

mod hooks;
mod reports;
pub mod usage;

pub use hooks::MessageHooks;
