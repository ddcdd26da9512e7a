//! The protocol, without engines: every order in which its steps can happen is tried.
//!
//! The states are small and the steps mirror the scripts in `src/redis/scripts` and the statements in `src/ledger`,
//! one by one, as their comments say. A search walks through every state that can be reached, and asks of each
//! whether it is allowed, and whether all can still end well from there. That it would notice is shown by variants with
//! a mistake.

mod delivery;
mod groups;
mod search;
