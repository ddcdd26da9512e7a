//! Logos as PNG.

use std::io::Cursor;

use png::{ColorType, Decoder, Limits, Transformations};

use super::{LogoError, Pixels};
use crate::pdf::compression;

/// Pixels on each side.
pub(super) const MAX_SIDE: u32 = 4000;
/// What reading it may take.
const MAX_BYTES: usize = 64 << 20;

pub(super) fn read(file: &[u8]) -> Result<Pixels, LogoError> {
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
    Ok(Pixels {
        width,
        height,
        colors: compression::kept(&pixels),
        gray,
        alpha: (!opaque).then(|| compression::kept(&alpha)),
    })
}
