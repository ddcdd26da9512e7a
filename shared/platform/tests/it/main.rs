//! The ground floor on real engines.

mod engines;
