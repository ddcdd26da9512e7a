//! What machines read.

use fast_qr::{ECL, QRBuilder};

use super::{PdfError, canvas::Modules};

/// Wide against narrow bars: with three, 44 digits on 103 mm are what FEBRABAN asks for.
const WIDE: u32 = 3;
/// Modules of white around a QR code.
const QUIET: usize = 4;

/// Interleaved 2 of 5: where bars begin and how wide they are, and the width of it all, in modules. An even number of
/// digits.
pub(super) fn interleaved(digits: &str) -> (Vec<(u32, u32)>, u32) {
    /// Which two of a digit's five bars are wide.
    const PATTERNS: [[bool; 5]; 10] = {
        const N: bool = false;
        const W: bool = true;
        [
            [N, N, W, W, N],
            [W, N, N, N, W],
            [N, W, N, N, W],
            [W, W, N, N, N],
            [N, N, W, N, W],
            [W, N, W, N, N],
            [N, W, W, N, N],
            [N, N, N, W, W],
            [W, N, N, W, N],
            [N, W, N, W, N],
        ]
    };
    let digits = digits.as_bytes();
    let mut bars = Vec::with_capacity(digits.len() * 5 / 2 + 4);
    let mut at = 0;
    let mut pair = |bar: bool, space: bool| {
        let width = |wide| if wide { WIDE } else { 1 };
        bars.push((at, width(bar)));
        at += width(bar) + width(space);
    };
    pair(false, false);
    pair(false, false);
    for digit in digits.chunks_exact(2) {
        let [of_bars, of_spaces] = [digit[0], digit[1]].map(|digit| PATTERNS[usize::from(digit - b'0') % 10]);
        of_bars.into_iter().zip(of_spaces).for_each(|(bar, space)| pair(bar, space));
    }
    pair(true, false);
    pair(false, false);
    // the space behind the last bar is the quiet zone's
    (bars, at - 1)
}

/// A QR code with its quiet zone, of the error correction M that both BR Codes and EPC codes ask for.
pub(super) fn qr(code: &str) -> Result<Modules, PdfError> {
    let qr = QRBuilder::new(code).ecl(ECL::M).build().map_err(|_| PdfError::Qr { bytes: code.len() })?;
    let size = qr.size + 2 * QUIET;
    let stride = size.div_ceil(8);
    let mut bits = vec![0xFF; stride * size];
    for y in 0..qr.size {
        for (x, _) in qr[y].iter().enumerate().filter(|(_, module)| module.value()) {
            let column = x + QUIET;
            bits[(y + QUIET) * stride + column / 8] &= !(0x80 >> (column % 8));
        }
    }
    Ok(Modules { size, bits })
}
