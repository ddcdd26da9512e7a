//! The kinds of files: from bytes to checked, encoded rows. Pure: no network, no clock, no database.
