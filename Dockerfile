# syntax=docker/dockerfile:1

# One binary, one image: `docker run gristmill api`, `… worker`, `… scheduler`, `… migrate`.

FROM rust:1.95-slim-bookworm AS build
# jemalloc is built with it
RUN apt-get update -qq && apt-get install -y -qq --no-install-recommends make
WORKDIR /src
COPY . .
# The caches live outside of the image's layers: a changed line compiles what depends on it, not 400 crates.
RUN --mount=type=cache,id=gristmill-cargo,target=/usr/local/cargo/registry,sharing=locked \
    --mount=type=cache,id=gristmill-target,target=/src/target,sharing=locked \
    cargo build --release --locked --package gristmill-cli \
    # Names of functions stay, for backtraces; the lines of code go.
    && strip --strip-debug -o /usr/local/bin/gristmill target/release/gristmill \
    && mkdir -p /empty/objects

# glibc, libgcc, CA certificates and a user without rights; no shell, no package manager.
FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="Gristmill" \
      org.opencontainers.image.description="Bulk files in, settled rows out, each exactly once" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build /usr/local/bin/gristmill /usr/local/bin/gristmill
# A named volume takes its owner from the folder it covers.
COPY --from=build --chown=nonroot:nonroot /empty /var/lib/gristmill
WORKDIR /var/lib/gristmill
ENV GRISTMILL_ADDR=0.0.0.0:8080 \
    GRISTMILL_MONITOR_ADDR=0.0.0.0:9100 \
    GRISTMILL_STORE_URL=/var/lib/gristmill/objects \
    GRISTMILL_SPOOL_DIR=/var/lib/gristmill \
    GRISTMILL_LOG_FORMAT=json
EXPOSE 8080 9100
USER nonroot
STOPSIGNAL SIGTERM
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s --retries=3 \
    CMD ["gristmill", "health", "http://127.0.0.1:9100/healthz"]
ENTRYPOINT ["gristmill"]
CMD ["--help"]
