//! What every role needs: configuration, telemetry, database, object store, keys, private engines.
