# Images of mailhaul and of its demonstration. Needs Docker with BuildKit (20.10 or newer) and the network, for the base
# images, Debian's packages and the Rust registry. `docker build .` makes the command alone; `docker-compose.yml`
# builds the demonstration.

FROM rust:1.94-bookworm AS build
WORKDIR /src
COPY . .
RUN cargo build --release -p mailhaul -p mailhaul-testing --bin mailhaul --example judge --example demo_fill

# An authority and a certificate for localhost, for the demonstration only.
FROM debian:bookworm-slim AS certificates
RUN apt-get update && apt-get install -y --no-install-recommends openssl && rm -rf /var/lib/apt/lists/*
COPY docker/certificates.sh /
RUN sh /certificates.sh /certificates

# A Dovecot to move mail away from, or to.
FROM debian:bookworm-slim AS dovecot
RUN apt-get update && apt-get install -y --no-install-recommends dovecot-imapd && rm -rf /var/lib/apt/lists/* \
    && install -d -o mail -g mail /mail
COPY docker/dovecot /dovecot
COPY --from=certificates /certificates /certificates
ENTRYPOINT ["dovecot", "-F", "-c"]

# mailhaul with what fills, kills and judges.
FROM debian:bookworm-slim AS demo
RUN install -d /demo
COPY --from=build /src/target/release/mailhaul /src/target/release/examples/judge /src/target/release/examples/demo_fill /usr/local/bin/
COPY --from=certificates /certificates/ca.pem /certificates/ca.pem
COPY docker/demo.sh /
ENTRYPOINT ["bash", "/demo.sh"]

# The command alone. Mount a volume for the state: docker run -it -v mailhaul:/state mailhaul copy --from … --to …
FROM debian:bookworm-slim AS mailhaul
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && useradd --system --home-dir /state mailhaul && install -d -o mailhaul -m 700 /state
COPY --from=build /src/target/release/mailhaul /usr/local/bin/mailhaul
USER mailhaul
ENV XDG_DATA_HOME=/state
VOLUME /state
ENTRYPOINT ["mailhaul"]
