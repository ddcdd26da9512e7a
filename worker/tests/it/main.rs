//! Uploads end to end inside one process: received, loaded, closed, on real engines.

mod close;
mod duplicates;
mod ends;
mod mill;
mod policies;
