//! What makes a page the client's own.

use super::{Color, Logo};

/// What makes a page the client's own.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Branding {
    /// At the head of the page; without one stands the beneficiary's name.
    pub logo: Option<Logo>,
    /// Of lines and headings; text in it is darkened until it can be read on white.
    pub accent: Color,
    /// A sentence or two for every payer, such as whom to call.
    pub note: Option<String>,
    /// Whether the page is a sample by which nobody is paid: it says so across the whole page.
    pub sample: bool,
}
