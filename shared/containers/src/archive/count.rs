//! How large an archive says that its directory is (APPNOTE.TXT 6.3.10, 4.3.14 to 4.3.16).

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

/// What an archive says.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Directory {
    pub(super) files: u64,
    pub(super) bytes: u64,
    /// Of the archive itself.
    pub(super) file_bytes: u64,
}

/// The most that any of what may be the end of its directory says: which of them is meant shows only when it is read.
///
/// # Errors
/// When it cannot be read, or has no such end where one has to be.
pub(super) fn directory<R: Read + Seek>(file: &mut R) -> io::Result<Directory> {
    let length = file.seek(SeekFrom::End(0))?;
    let tail_bytes = length.min(END_BYTES + COMMENT_BYTES + LOCATOR_BYTES as u64);
    file.seek(SeekFrom::Start(length - tail_bytes))?;
    let mut tail = Vec::new();
    file.take(tail_bytes).read_to_end(&mut tail)?;
    let (mut most, mut has_end) = (Directory { file_bytes: length, ..Directory::default() }, false);
    for at in 0..tail.len() {
        let found = &tail[at..];
        if found.starts_with(END)
            && let (Some(files), Some(bytes)) = (number(found, 10, 2), number(found, 12, 4))
        {
            has_end = true;
            // What does not fit is in the other end.
            let bytes = if bytes == u64::from(u32::MAX) { 0 } else { bytes };
            (most.files, most.bytes) = (most.files.max(files), most.bytes.max(bytes));
        }
        if found.starts_with(LOCATOR)
            && let Some(offset) = number(found, 8, 8).filter(|offset| *offset < length)
        {
            let mut end = Vec::new();
            file.seek(SeekFrom::Start(offset))?;
            file.take(48).read_to_end(&mut end)?;
            if end.starts_with(LARGE_END)
                && let (Some(files), Some(bytes)) = (number(&end, 32, 8), number(&end, 40, 8))
            {
                (most.files, most.bytes) = (most.files.max(files), most.bytes.max(bytes));
            }
        }
    }
    file.rewind()?;
    if has_end { Ok(most) } else { Err(io::Error::new(io::ErrorKind::UnexpectedEof, "it has no directory")) }
}

/// A number of so many bytes, the lowest first.
fn number(bytes: &[u8], at: usize, size: usize) -> Option<u64> {
    Some(bytes.get(at..at + size)?.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte)))
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::{Directory, directory};

    fn end(files: u16) -> Vec<u8> {
        [b"PK\x05\x06\0\0\0\0\x01\0", &files.to_le_bytes()[..], &[0; 10]].concat()
    }

    #[test]
    fn the_largest_number_counts() {
        let all = |bytes: Vec<u8>| directory(&mut Cursor::new(bytes));
        let of = |bytes: Vec<u8>| all(bytes).unwrap().files;
        assert!(all(Vec::new()).is_err());
        // An end that is hidden behind more than a comment is none.
        assert!(all([end(7), vec![0; 70 << 10]].concat()).is_err());
        assert_eq!(of(end(7)), 7);
        assert_eq!(of([end(7), end(9), b"comment".to_vec(), end(8)].concat()), 9);
        let large = |files: u64| [b"PK\x06\x06", &[0; 28][..], &files.to_le_bytes(), &[0; 16]].concat();
        let locator = |offset: u64| [b"PK\x06\x07\0\0\0\0", &offset.to_le_bytes()[..], &[1, 0, 0, 0]].concat();
        let archive = [b"PK\x03\x04".to_vec(), large(20_000_000), locator(4), end(0xffff)].concat();
        assert_eq!(of(archive), 20_000_000);
        let said = Directory { files: 7, bytes: 0x0102, file_bytes: 22 };
        let mut one = end(7);
        one[12..14].copy_from_slice(&[2, 1]);
        assert_eq!(all(one).unwrap(), said);
        // One that leads nowhere is none.
        assert_eq!(of([locator(0), locator(u64::MAX), end(3)].concat()), 3);
        assert!(all(b"PK\x06\x07\0PK\x05\x06\0".to_vec()).is_err());
    }
}
