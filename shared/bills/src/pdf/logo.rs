//! A client's logo.

mod pixels;
mod vector;

use thiserror::Error;

/// A client's logo, read and ready to be put on pages. Reading takes longer than a page: keep it.
#[derive(Clone, Debug, PartialEq)]
pub struct Logo {
    /// Width and height, in any unit.
    pub(super) size: (f32, f32),
    pub(super) picture: Picture,
}

/// What it is made of.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Picture {
    Pixels(Pixels),
    /// Operators of a page, compressed, in a space of the logo's size with the top at 0.
    Vector(Vec<u8>),
}

#[derive(Clone, Debug, PartialEq)]
pub(super) struct Pixels {
    pub(super) width: u32,
    pub(super) height: u32,
    /// Three bytes a pixel, or one when it is gray; compressed.
    pub(super) colors: Vec<u8>,
    pub(super) gray: bool,
    /// A byte a pixel, compressed, when not all of it is opaque.
    pub(super) alpha: Option<Vec<u8>>,
}

/// A file that is no logo.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum LogoError {
    /// No PNG, or a broken one.
    #[error("the logo cannot be read as PNG")]
    Png(#[from] png::DecodingError),
    /// Too many pixels.
    #[error("the logo has {width} × {height} pixels: at most {} on a side are allowed", pixels::MAX_SIDE)]
    TooLarge {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
    /// No SVG, or a broken one.
    #[error("the logo cannot be read as SVG")]
    Svg(#[from] usvg::Error),
    /// An SVG with more than shapes of one colour each.
    #[error("the logo's SVG has {0}, which are not drawn: shapes of plain colours are")]
    Unsupported(&'static str),
}

impl Logo {
    /// A PNG of any colour type, up to 4000 pixels on a side. What is transparent stays so.
    ///
    /// # Errors
    /// When it is none, or too large.
    pub fn png(file: &[u8]) -> Result<Self, LogoError> {
        let pixels = pixels::read(file)?;
        Ok(Self { size: (pixels.width as f32, pixels.height as f32), picture: Picture::Pixels(pixels) })
    }

    /// An SVG of shapes in plain colours, filled, stroked and clipped. What is half transparent is mixed with white.
    /// Nothing that it points to is read; text has to be turned into shapes before.
    ///
    /// # Errors
    /// When it is none, or has gradients, patterns, filters, masks or pictures.
    pub fn svg(file: &[u8]) -> Result<Self, LogoError> {
        let (size, operators) = vector::read(file)?;
        Ok(Self { size, picture: Picture::Vector(operators) })
    }
}
