//! Whether the file is one of rows in UTF-8 at all: seen by its beginning while it arrives.

use gristmill_pipelines::{Encoding, FEW, Foreign, SOME, foreign};

#[derive(Default)]
pub(super) struct Look {
    head: Vec<u8>,
    encoding: Encoding,
}

impl Look {
    /// Takes the next bytes of the file. `false`: it is none of rows, and with some more bytes it is known what it is.
    ///
    /// # Errors
    /// What the file is instead.
    pub(super) fn push(&mut self, frame: &[u8]) -> Result<bool, Foreign> {
        self.head.extend_from_slice(&frame[..frame.len().min(SOME - self.head.len())]);
        match foreign(&self.head) {
            Some(what) if self.is_full() => Err(what),
            Some(_) if self.head.len() >= FEW => Ok(false),
            _ => self.encoding.push(frame).map(|()| true),
        }
    }

    /// The file is over.
    ///
    /// # Errors
    /// What the file is instead.
    pub(super) fn finish(&mut self) -> Result<(), Foreign> {
        match foreign(&self.head) {
            Some(what) => Err(what),
            None => self.encoding.finish(),
        }
    }

    /// How the file begins.
    pub(super) fn head(&self) -> &[u8] {
        &self.head
    }

    /// Whether no more of the beginning is kept.
    pub(super) fn is_full(&self) -> bool {
        self.head.len() == SOME
    }
}
