//! How many files an archive says that it has (APPNOTE.TXT 6.3.10, 4.3.14 to 4.3.16).

use std::io::{self, Read, Seek, SeekFrom};

/// The end of a directory, without its comment, which has at most 64 KiB…
const END: &[u8] = b"PK\x05\x06";
const END_BYTES: u64 = 22;
const COMMENT_BYTES: u64 = 1 << 16;
/// …what stands before it in a large archive, and says where its own end of the directory is…
const LOCATOR: &[u8] = b"PK\x06\x07";
const LOCATOR_BYTES: usize = 20;
/// …and that.
const LARGE_END: &[u8] = b"PK\x06\x06";

/// The most that any of what may be the end of its directory says: which of them is meant shows only when it is read.
pub(super) fn files<R: Read + Seek>(file: &mut R) -> io::Result<u64> {
    let length = file.seek(SeekFrom::End(0))?;
    let tail_bytes = length.min(END_BYTES + COMMENT_BYTES + LOCATOR_BYTES as u64);
    file.seek(SeekFrom::Start(length - tail_bytes))?;
    let mut tail = Vec::new();
    file.take(tail_bytes).read_to_end(&mut tail)?;
    let mut most = 0;
    for at in 0..tail.len() {
        let found = &tail[at..];
        if found.starts_with(END)
            && let Some(files) = number(found, 10, 2)
        {
            most = most.max(files);
        }
        if found.starts_with(LOCATOR)
            && let Some(offset) = number(found, 8, 8).filter(|offset| *offset < length)
        {
            let mut end = Vec::new();
            file.seek(SeekFrom::Start(offset))?;
            file.take(40).read_to_end(&mut end)?;
            if end.starts_with(LARGE_END) {
                most = most.max(number(&end, 32, 8).unwrap_or_default());
            }
        }
    }
    file.rewind()?;
    Ok(most)
}

/// A number of so many bytes, the lowest first.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    Some(bytes.get(at..at + size)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::files;

    fn end(files: u16) -> Vec<u8> {
        [b"PK\x05\x06\0\0\0\0\x01\0", &files.to_le_bytes()[..], &[0; 10]].concat()
    }

    #[test]
    fn the_largest_number_counts() {
        let of = |bytes: Vec<u8>| files(&mut Cursor::new(bytes)).unwrap();
        assert_eq!(of(Vec::new()), 0);
        assert_eq!(of(end(7)), 7);
        assert_eq!(of([end(7), end(9), b"comment".to_vec(), end(8)].concat()), 9);
        let large = |files: u64| [b"PK\x06\x06", &[0; 28][..], &files.to_le_bytes(), &[0; 16]].concat();
        let locator = |offset: u64| [b"PK\x06\x07\0\0\0\0", &offset.to_le_bytes()[..], &[1, 0, 0, 0]].concat();
        let archive = [b"PK\x03\x04".to_vec(), large(20_000_000), locator(4), end(0xffff)].concat();
        assert_eq!(of(archive), 20_000_000);
        // One that leads nowhere is none.
        assert_eq!(of([locator(0), locator(u64::MAX), end(3)].concat()), 3);
        assert_eq!(of(b"PK\x06\x07\0PK\x05\x06\0".to_vec()), 0);
    }
}
