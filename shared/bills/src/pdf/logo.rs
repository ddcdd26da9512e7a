//! A client's logo.

use std::io::Cursor;

use miniz_oxide::deflate::compress_to_vec_zlib;
use png::{ColorType, Decoder, Limits, Transformations};
use thiserror::Error;

/// Pixels on each side.
const MAX_SIDE: u32 = 4000;
/// What reading it may take.
const MAX_BYTES: usize = 64 << 20;

/// A client's logo, read and ready to be put on pages. Reading takes longer than a page: keep it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Logo {
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
    #[error("the logo has {width} × {height} pixels: at most {MAX_SIDE} on a side are allowed")]
    TooLarge {
        /// In pixels.
        width: u32,
        /// In pixels.
        height: u32,
    },
}

impl Logo {
    /// A PNG of any colour type, up to 4000 pixels on a side. What is transparent stays so.
    ///
    /// # Errors
    /// When it is none, or too large.
    pub fn png(file: &[u8]) -> Result<Self, LogoError> {
        let mut decoder = Decoder::new_with_limits(Cursor::new(file), Limits { bytes: MAX_BYTES });
        decoder.set_transformations(Transformations::normalize_to_color8());
        let mut reader = decoder.read_info()?;
        let (width, height) = reader.info().size();
        let size = reader.output_buffer_size().filter(|_| width <= MAX_SIDE && height <= MAX_SIDE);
        let Some(size) = size else { return Err(LogoError::TooLarge { width, height }) };
        let mut pixels = vec![0; size];
        let frame = reader.next_frame(&mut pixels)?;
        pixels.truncate(frame.buffer_size());

        let (gray, transparent) = match frame.color_type {
            ColorType::Grayscale => (true, false),
            ColorType::GrayscaleAlpha => (true, true),
            ColorType::Rgba => (false, true),
            ColorType::Rgb | ColorType::Indexed => (false, false),
        };
        let mut alpha = Vec::new();
        if transparent {
            let channels = if gray { 2 } else { 4 };
            alpha = pixels.chunks_exact(channels).map(|pixel| pixel[channels - 1]).collect();
            pixels = pixels.chunks_exact(channels).flat_map(|pixel| &pixel[..channels - 1]).copied().collect();
        }
        let opaque = alpha.iter().all(|alpha| *alpha == 255);
        Ok(Self {
            width,
            height,
            colors: compress_to_vec_zlib(&pixels, 9),
            gray,
            alpha: (!opaque).then(|| compress_to_vec_zlib(&alpha, 9)),
        })
    }
}
