//! The files that are sent, generated once.

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
};

use gristmill_pipelines::generate::{self, Options};

pub(crate) struct Files {
    dir: PathBuf,
    pub(crate) rows: u64,
}

impl Files {
    pub(crate) fn new(dir: &Path, rows: u64) -> anyhow::Result<Self> {
        std::fs::create_dir_all(dir)?;
        Ok(Self { dir: dir.to_path_buf(), rows })
    }

    /// In the same folder, of so many rows.
    pub(crate) fn of(&self, rows: u64) -> anyhow::Result<Self> {
        Self::new(&self.dir, rows)
    }

    /// Good rows with distinct keys.
    pub(crate) fn clean(&self) -> anyhow::Result<PathBuf> {
        self.file("clean", Options { rows: self.rows, seed: 1, ..Options::default() })
    }

    /// 1 % bad rows, 1 % duplicates.
    pub(crate) fn dirty(&self) -> anyhow::Result<PathBuf> {
        self.file("dirty", Options { rows: self.rows, bad: 0.01, duplicates: 0.01, seed: 2, ..Options::default() })
    }

    /// Good rows that no other file has; deleted when it is dropped.
    pub(crate) fn fresh(&self, number: u64) -> anyhow::Result<Passing> {
        let options = Options { rows: self.rows, seed: 1_000 + number, ..Options::default() };
        Ok(Passing(self.file(&format!("fresh{number}"), options)?))
    }

    /// The same with 1 % bad rows and 1 % duplicates.
    pub(crate) fn fresh_dirty(&self, number: u64) -> anyhow::Result<Passing> {
        let options =
            Options { rows: self.rows, bad: 0.01, duplicates: 0.01, seed: 1_000 + number, ..Options::default() };
        Ok(Passing(self.file(&format!("dirty{number}"), options)?))
    }

    /// Few good rows that no other file has, in memory.
    pub(crate) fn small(rows: u64, number: u64) -> anyhow::Result<Vec<u8>> {
        let mut file = Vec::new();
        generate::debts(&Options { rows, seed: 1_000_000 + number, ..Options::default() }, &mut file)?;
        Ok(file)
    }

    /// Few rows, some of them bad: what a person sends.
    pub(crate) fn few(&self) -> anyhow::Result<PathBuf> {
        self.file("few", Options { rows: 500, bad: 0.02, duplicates: 0.02, seed: 4, ..Options::default() })
    }

    /// Ten times as many good rows.
    pub(crate) fn large(&self) -> anyhow::Result<PathBuf> {
        self.file("large", Options { rows: self.rows * 10, seed: 3, ..Options::default() })
    }

    fn file(&self, name: &str, options: Options) -> anyhow::Result<PathBuf> {
        let path = self.dir.join(format!("{name}-{}.csv", options.rows));
        if !path.exists() {
            let partial = path.with_extension("partial");
            generate::debts(&options, &mut BufWriter::with_capacity(1 << 20, File::create(&partial)?))?;
            std::fs::rename(partial, &path)?;
        }
        Ok(path)
    }
}

/// A file that is needed for a moment.
pub(crate) struct Passing(PathBuf);

impl std::ops::Deref for Passing {
    type Target = Path;

    fn deref(&self) -> &Path {
        &self.0
    }
}

impl Drop for Passing {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}
