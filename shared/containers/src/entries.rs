//! The file of an archive that is no workbook.

use std::{
    io::{Read, Seek},
    ops::ControlFlow,
};

use gristmill_pipelines::{Foreign, foreign};

use crate::{ContainerError, Wanted, archive::Archive, is_container};

/// Bytes that are handed on at a time.
const PIECE: usize = 128 << 10;

/// A file of an archive.
pub(crate) struct Entry {
    pub(crate) name: String,
}

/// The one that was said, or the only one.
pub(crate) fn choose<R: Read + Seek>(archive: &mut Archive<R>, wanted: &Wanted) -> Result<Entry, ContainerError> {
    if wanted.sheet.is_some() {
        return Err(ContainerError::Unreadable(
            "the file is a ZIP archive, and sheet= is of workbooks: send entry=".to_owned(),
        ));
    }
    let mut names: Vec<String> = archive.names().filter(|name| is_file(name)).collect();
    names.sort_unstable();
    let name = match &wanted.entry {
        Some(wanted) => match names.iter().find(|name| *name == wanted) {
            Some(name) => name.clone(),
            None => return Err(ContainerError::no_such("entry", "ZIP archive", wanted, &names)),
        },
        None => only(names)?,
    };
    let mut head = [0; 512];
    let read = fill(&mut archive.entry(&name)?, &mut head)?;
    let head = &head[..read];
    let what = match foreign(head) {
        _ if is_container(head) => "another archive or a workbook: send that itself",
        Some(Foreign::Compressed(_) | Foreign::Packed(_)) => "compressed once more: unpack it",
        _ => return Ok(Entry { name }),
    };
    Err(ContainerError::Unreadable(format!("the ZIP archive's {name} is {what}")))
}

fn only(mut names: Vec<String>) -> Result<String, ContainerError> {
    let may_have_rows = |name: &String| !NONE_OF_ROWS.iter().any(|end| name.to_ascii_lowercase().ends_with(end));
    if names.iter().any(may_have_rows) {
        names.retain(may_have_rows);
    } else if let Some(first) = names.first() {
        return Err(ContainerError::Unreadable(format!("the ZIP archive has no file of rows, but {first}")));
    }
    match names.len() {
        0 => Err(ContainerError::Empty("the ZIP archive is empty".to_owned())),
        1 => Ok(names.swap_remove(0)),
        _ => Err(ContainerError::which("entry", "ZIP archive", "files", &names)),
    }
}

/// What stands beside tables in archives, by the ends of its names.
const NONE_OF_ROWS: [&str; 18] = [
    ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".svg", ".doc", ".docx", ".ppt", ".pptx", ".htm", ".html", ".xml", ".md",
    ".exe", ".md5", ".sha256", ".sig",
];

/// No folder, and nothing that an operating system has added.
fn is_file(name: &str) -> bool {
    let last = name.rsplit(['/', '\\']).next().unwrap_or(name);
    !last.is_empty()
        && !last.starts_with('.')
        && !name.starts_with("__MACOSX/")
        && !["desktop.ini", "thumbs.db"].contains(&last.to_ascii_lowercase().as_str())
}

/// As much as there is, or as the buffer takes.
fn fill(from: &mut impl Read, buffer: &mut [u8]) -> Result<usize, ContainerError> {
    let mut filled = 0;
    while filled < buffer.len() {
        match from.read(&mut buffer[filled..])? {
            0 => break,
            read => filled += read,
        }
    }
    Ok(filled)
}

/// Its bytes as they are.
pub(crate) fn read<R: Read + Seek>(
    archive: &mut Archive<R>,
    entry: &Entry,
    emit: &mut dyn FnMut(&[u8]) -> ControlFlow<()>,
) -> Result<(), ContainerError> {
    let mut file = archive.entry(&entry.name)?;
    let mut buffer = vec![0; PIECE];
    loop {
        let read = fill(&mut file, &mut buffer)?;
        if read == 0 || emit(&buffer[..read]).is_break() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_beside_a_table_is_not_asked_about() {
        for name in ["a.csv", "2024/jan.csv", "data", "a b.txt", "pagamentos.RET"] {
            assert!(is_file(name), "{name}");
        }
        for name in ["2024/", "__MACOSX/._a.csv", ".DS_Store", "x/.DS_Store", "desktop.ini", "x/Thumbs.db", ""] {
            assert!(!is_file(name), "{name}");
        }
        let only = |names: &[&str]| {
            only(names.iter().map(|&name| name.to_owned()).collect()).map_err(|error| error.to_string())
        };
        assert_eq!(only(&["a.csv"]).as_deref(), Ok("a.csv"));
        assert_eq!(only(&["a.csv", "invoice.PDF", "x.png"]).as_deref(), Ok("a.csv"));
        assert_eq!(only(&[]).unwrap_err(), "the ZIP archive is empty");
        assert_eq!(only(&["x.pdf"]).unwrap_err(), "the ZIP archive has no file of rows, but x.pdf");
        let two = only(&["a.csv", "b.csv"]).unwrap_err();
        assert_eq!(two, "the ZIP archive has 2 files: a.csv, b.csv. Send entry= with one of them");
    }
}
