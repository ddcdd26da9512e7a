//! A bill's page: A4, in the payer's language, with what is scanned and what is typed.
//!
//! The same bill, branding and language give the same bytes: nothing in them tells when the page was made.

mod branding;
mod canvas;
mod color;
mod compression;
mod document;
mod font;
mod glyphs;
mod logo;
mod page;
mod symbols;
mod text;
mod words;

use thiserror::Error;

use crate::{Bill, Language};

use canvas::Canvas;
use glyphs::Glyphs;

pub use branding::Branding;
pub use color::{Color, NotAColor};
pub use logo::{Logo, LogoError};

/// A page that cannot be made.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum PdfError {
    /// A code of more bytes than a QR code holds.
    #[error("a QR code does not hold {bytes} bytes")]
    Qr {
        /// The code's length.
        bytes: usize,
    },
    /// The font cannot be made smaller.
    #[error("the font cannot be embedded")]
    Font(#[source] subsetter::Error),
}

/// A bill as a PDF of one page.
///
/// Text that is too long for its place is wrapped, then cut with an ellipsis; characters that the font does not have
/// become `?`. The slip of a boleto is in Portuguese in every language: it is for the bank.
///
/// # Errors
/// When a code does not fit into a QR code: the rails here make none of that length.
pub fn render(bill: &Bill, branding: &Branding, language: Language) -> Result<Vec<u8>, PdfError> {
    let draw = |glyphs| {
        let mut canvas = Canvas::new(glyphs);
        page::draw(&mut canvas, bill, branding, language).map(|()| canvas)
    };
    let mut canvas = draw(Glyphs::shared)?;
    if !canvas.is_in_alphabet() {
        canvas = draw(Glyphs::own)?;
    }
    let title = format!("{} {}", words::of(language).title, bill.facts.number);
    document::write(canvas, branding.logo.as_ref(), &title, &bill.beneficiary.name, language)
}
