use std::collections::HashSet;

/// Words that are remembered without an allocation: as many as texts of some 300 characters have.
const FEW: usize = 64;

/// The words of a text so far, and whether one came twice. Exact: words that look the same are compared.
pub(super) struct Seen<'t> {
    text: &'t [u8],
    /// A bit for each of the words, by a hash: most words are new, and this says so.
    bits: [u64; 4],
    count: usize,
    /// The first eight bytes of each.
    heads: [u64; FEW],
    places: [(u32, u32); FEW],
    many: HashSet<&'t [u8]>,
    repeated: bool,
}

impl<'t> Seen<'t> {
    #[inline]
    pub(super) fn new(text: &'t [u8]) -> Self {
        assert!(u32::try_from(text.len()).is_ok(), "a text is far shorter than 4 GiB");
        Self {
            text,
            bits: [0; 4],
            count: 0,
            heads: [0; FEW],
            places: [(0, 0); FEW],
            many: HashSet::new(),
            repeated: false,
        }
    }

    pub(super) fn unique(&self) -> bool {
        !self.repeated
    }

    /// Adds the word that stands there.
    #[inline]
    pub(super) fn add(&mut self, start: usize, end: usize) {
        if self.repeated {
            return;
        }
        if self.count >= FEW {
            self.add_to_many(start, end);
            return;
        }
        let head = head(self.text, start, end);
        // 2⁶⁴ divided by the golden ratio (Knuth, The Art of Computer Programming, volume 3, 6.4)
        let hash = head.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 56;
        let (row, bit) = ((hash >> 6) as usize, 1 << (hash & 63));
        if self.bits[row] & bit != 0 && self.is_among_few(head, start, end) {
            self.repeated = true;
            return;
        }
        self.bits[row] |= bit;
        self.heads[self.count] = head;
        self.places[self.count] = place(start, end);
        self.count += 1;
    }

    fn is_among_few(&self, head: u64, start: usize, end: usize) -> bool {
        let word = &self.text[start..end];
        let known = self.heads[..self.count].iter().zip(&self.places);
        known
            .into_iter()
            .any(|(known, (start, end))| *known == head && self.text[*start as usize..*end as usize] == *word)
    }

    #[cold]
    fn add_to_many(&mut self, start: usize, end: usize) {
        let text = self.text;
        if self.many.is_empty() {
            self.many.extend(self.places.iter().map(|(start, end)| &text[*start as usize..*end as usize]));
        }
        self.repeated = !self.many.insert(&text[start..end]);
    }
}

#[expect(clippy::cast_possible_truncation, reason = "`new` has checked that the text is below 4 GiB")]
fn place(start: usize, end: usize) -> (u32, u32) {
    (start as u32, end as u32)
}

/// The first eight bytes of a word, zeros behind a shorter one.
#[inline]
fn head(text: &[u8], start: usize, end: usize) -> u64 {
    let length = (end - start).min(8);
    match text[start..].first_chunk::<8>() {
        Some(eight) => u64::from_le_bytes(*eight) & (u64::MAX >> (64 - 8 * length)),
        None => {
            let mut eight = [0; 8];
            eight[..length].copy_from_slice(&text[start..end]);
            u64::from_le_bytes(eight)
        }
    }
}
