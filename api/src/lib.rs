//! The HTTP API: routes in, problem+json out.
