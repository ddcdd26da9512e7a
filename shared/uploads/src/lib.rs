//! The story of one file: received, cut into chunks, enqueued, loaded, joined, closed.
