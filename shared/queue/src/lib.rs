//! A distributed task queue: a Postgres ledger says what must be done, a Redis broker says who does it now.
