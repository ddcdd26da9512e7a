//! Vectors and laws of the rails, and pages that are drawn and read again.

#![allow(clippy::unwrap_used, reason = "these are tests, their helpers included")]

mod boleto;
mod epc;
mod pages;
mod pix;
mod reading;
mod settings;
mod support;
