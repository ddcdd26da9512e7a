//! How streams are compressed.

use std::{cell::RefCell, io::Write as _};

use flate2::{Compression, write::ZlibEncoder};

thread_local! {
    /// Kept, as to set one up takes a quarter of a page's time.
    static OF_PAGES: RefCell<ZlibEncoder<Vec<u8>>> = RefCell::new(ZlibEncoder::new(Vec::new(), Compression::new(6)));
}

/// What is on one page: more would cost time and gain little.
pub(super) fn page(bytes: &[u8]) -> Vec<u8> {
    OF_PAGES.with_borrow_mut(|encoder| zlib(encoder, bytes))
}

/// What is the same on many pages, as small as it gets.
pub(super) fn kept(bytes: &[u8]) -> Vec<u8> {
    zlib(&mut ZlibEncoder::new(Vec::new(), Compression::best()), bytes)
}

fn zlib(encoder: &mut ZlibEncoder<Vec<u8>>, bytes: &[u8]) -> Vec<u8> {
    let compressed = encoder.write_all(bytes).and_then(|()| encoder.reset(Vec::new()));
    compressed.expect("a vector takes everything")
}
