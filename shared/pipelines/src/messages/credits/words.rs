//! Where the words of an ASCII text are, found eight bytes at a time: no branch a byte, one an edge.

/// Calls `edge` with the places where words start and end, in turn.
pub(super) fn edges(text: &[u8], mut edge: impl FnMut(usize)) {
    let mut before = 0;
    for (n, block) in text.chunks(64).enumerate() {
        let words = match <&[u8; 64]>::try_from(block) {
            Ok(block) => mask(block),
            Err(_) => {
                let mut whole = [0; 64];
                whole[..block.len()].copy_from_slice(block);
                mask(&whole)
            }
        };
        let mut changes = words ^ (words << 1 | before);
        before = words >> 63;
        while changes != 0 {
            edge(64 * n + changes.trailing_zeros() as usize);
            changes &= changes - 1;
        }
    }
    if before == 1 {
        edge(text.len());
    }
}

/// A bit a byte: whether it is part of a word.
fn mask(block: &[u8; 64]) -> u64 {
    let (eights, _) = block.as_chunks::<8>();
    eights.iter().enumerate().fold(0, |mask, (n, eight)| mask | word_bytes(u64::from_le_bytes(*eight)) << (8 * n))
}

/// Of eight bytes below 128 those that are letters, apostrophes or hyphens, as eight bits. No sum reaches the next byte.
fn word_bytes(bytes: u64) -> u64 {
    const EACH: u64 = 0x0101_0101_0101_0101;
    const HIGH: u64 = 0x80 * EACH;
    let lower = bytes | (0x20 * EACH);
    let from_a = lower + (0x80 - b'a' as u64) * EACH;
    let beyond_z = lower + (0x80 - b'z' as u64 - 1) * EACH;
    let other_than = |byte: u8| (bytes ^ (byte as u64 * EACH)) + 0x7f * EACH;
    let found = from_a & !beyond_z | !(other_than(b'\'') & other_than(b'-'));
    // gathers the high bits: each lands in the product's highest byte at a place of its own
    ((found & HIGH) >> 7).wrapping_mul(0x0102_0408_1020_4080) >> 56
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_is_told_at_every_place() {
        for byte in 0..128_u8 {
            let is_word = byte.is_ascii_alphabetic() || matches!(byte, b'\'' | b'-');
            for place in 0..8 {
                for others in [0, b'x', b' ', 127] {
                    let mut bytes = [others; 8];
                    bytes[place] = byte;
                    let found = word_bytes(u64::from_le_bytes(bytes));
                    assert_eq!(found >> place & 1 == 1, is_word, "{byte} at {place} among {others}");
                    assert_eq!(found.count_ones(), u32::from(is_word) + if others == b'x' { 7 } else { 0 });
                }
            }
        }
    }
}
