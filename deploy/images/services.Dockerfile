# One image for every service; the command names which. Build it from the repository's root:
#   docker build -f deploy/images/services.Dockerfile -t codexsys:local .
# BASE is a Debian 12 or a relative of it. Package mirrors are the base's, and so are its certificates; PIP_INDEX_URL reaches the first stage alone.
ARG BASE=debian:12-slim

FROM ${BASE} AS build
USER 0:0
ARG PIP_INDEX_URL
RUN apt-get update && apt-get install -y --no-install-recommends ca-certificates python3 python3-venv
WORKDIR /src
COPY requirements.lock pyproject.toml README.md LICENSE schema.sql ./
RUN python3 -m venv /opt/codexsys \
 && tools='import-linter|mypy|(axe-)?playwright(-python)?|pytest(-[a-z]+)?|ruff|uv' \
 && described='schemathesis|hypothesis(-graphql)?|graphql-core|harfile|jsonschema-rs|pyrate-limiter|werkzeug' \
 && awk -v what="^($tools|$described)==" '/^[a-z0-9]/ {tool = $0 ~ what} !tool' requirements.lock > runtime.lock \
 && /opt/codexsys/bin/pip install --no-cache-dir --require-hashes -r runtime.lock
COPY libs libs
COPY services services
RUN /opt/codexsys/bin/pip install --no-cache-dir --no-deps --no-build-isolation .

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="codexsys" \
      org.opencontainers.image.description="Every service of codexsys; the command names which" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 0:0
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      bubblewrap ca-certificates e2fsprogs git iproute2 nftables python3 slirp4netns tini util-linux \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* \
 && { getent passwd 10001 > /dev/null || useradd --uid 10001 --home-dir /var/lib/codexsys codexsys; } \
 && install -d -o 10001 -g 10001 /var/lib/codexsys /var/lib/codexsys/data
COPY --from=build /opt/codexsys /opt/codexsys
COPY deploy/images/healthy /opt/codexsys/bin/healthy
ENV PATH=/opt/codexsys/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin \
    HOME=/var/lib/codexsys \
    CODEXSYS_DATA_DIR=/var/lib/codexsys/data \
    CODEXSYS_HEALTH_PORT=8081
USER 10001:10001
WORKDIR /var/lib/codexsys
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s CMD ["healthy"]
ENTRYPOINT ["tini", "--", "codexsys"]
CMD ["--help"]
