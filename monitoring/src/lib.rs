//! /metrics and /healthz of every role.
