# syntax=docker/dockerfile:1
# The one binary and nothing else: no shell, no package manager, no root.
FROM rust:1.95-bookworm AS build
WORKDIR /src
# Dependencies are built before the sources come, so that they stay cached until Cargo.lock changes.
COPY Cargo.toml Cargo.lock rust-toolchain.toml ./
COPY sigma/Cargo.toml sigma/
COPY ingest/Cargo.toml ingest/
COPY bus/Cargo.toml bus/
COPY worker/Cargo.toml worker/
COPY producer/Cargo.toml producer/
COPY cli/Cargo.toml cli/
COPY tests/Cargo.toml tests/
RUN for part in sigma ingest bus worker producer tests; do mkdir -p "$part/src" && : > "$part/src/lib.rs"; done \
    && mkdir -p cli/src && echo 'fn main() {}' > cli/src/main.rs \
    && cargo build --release --locked -p sandsift-cli
COPY . .
# The time stamps of the placeholders above must not look newer than the sources.
RUN find sigma ingest bus worker producer cli -name '*.rs' -exec touch {} + \
    && cargo build --release --locked -p sandsift-cli \
    && mkdir -p /out/artifacts && cp target/release/sandsift /out/

FROM gcr.io/distroless/cc-debian12:nonroot
LABEL org.opencontainers.image.title="sandsift" \
      org.opencontainers.image.description="Matches what sandboxes recorded against Sigma rules" \
      org.opencontainers.image.licenses="Apache-2.0"
COPY --from=build /out/sandsift /usr/local/bin/sandsift
COPY --from=build --chown=nonroot:nonroot /out/artifacts /artifacts
USER nonroot
EXPOSE 9847
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s --retries=3 \
    CMD ["/usr/local/bin/sandsift", "health"]
ENTRYPOINT ["/usr/local/bin/sandsift"]
CMD ["--help"]
