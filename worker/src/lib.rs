//! The jobs' bodies: chunk, join, purge.
