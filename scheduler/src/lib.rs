//! Relay sweep, healing, retention and audits.
