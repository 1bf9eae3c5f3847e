# The image of sandboxes whose task names none: tool chains, and nothing of the platform: the agent comes with the sandbox.
#   docker build -f deploy/images/agent.Dockerfile -t codexsys/agent:local deploy/images
# BASE is a Debian 12 or a relative of it; package mirrors are the base's.
ARG BASE=debian:12-slim

FROM ${BASE}
ARG VERSION=0.1.0
ARG REVISION=unknown
LABEL org.opencontainers.image.title="codexsys agent" \
      org.opencontainers.image.description="Python, Node, Go, Rust, git and build tools for sandboxes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}"
USER 0:0
RUN apt-get update \
 && apt-get install -y --no-install-recommends \
      build-essential ca-certificates cargo curl git golang-go jq less make nodejs npm patch pkg-config procps \
      python3 python3-pip python3-venv ripgrep rustc rustfmt unzip \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt/* /var/log/* /usr/share/doc /usr/share/man /usr/share/locale \
 && find / -xdev -perm /6000 -type f -exec chmod a-s {} + \
 && { getent passwd 10001 > /dev/null || useradd --uid 10001 --create-home --shell /bin/bash sandbox; }
ENV LANG=C.UTF-8 GOFLAGS=-modcacherw
USER 10001:10001
WORKDIR /app/code
HEALTHCHECK --interval=30s --timeout=10s CMD ["git", "--version"]
CMD ["bash"]
