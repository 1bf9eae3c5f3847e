"""How setup's programs reach the world outside: proxy, package mirrors, certificates."""

import json
from collections.abc import Mapping
from html import escape
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field

from codexsys_core.environment import Address, Certificates, EnvironmentFields, Mirror

BUNDLE = "authorities.pem"
TRUST = "trust.sh"
_NO_PROXY = "localhost,127.0.0.1,::1"
# The known authorities are the image's, so the two are put together inside, in /tmp of this phase.
_TRUST = """\
bundle=$(mktemp /tmp/authorities.XXXXXX) || exit 126
for known in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/cert.pem; do
  if [ -r "$known" ]; then cat "$known" > "$bundle"; break; fi
done
cat /app/input/authorities.pem >> "$bundle"
export NODE_EXTRA_CA_CERTS=/app/input/authorities.pem
for name in SSL_CERT_FILE CURL_CA_BUNDLE REQUESTS_CA_BUNDLE PIP_CERT GIT_SSL_CAINFO CARGO_HTTP_CAINFO \\
    NPM_CONFIG_CAFILE YARN_HTTPS_CA_FILE_PATH; do
  export "$name=$bundle"
done
exec bash "$@"
"""
_MAVEN = """\
<settings>
  <mirrors><mirror><id>mirror</id><mirrorOf>central</mirrorOf><url>{url}</url></mirror></mirrors>
</settings>
"""


class Provision(BaseModel):
    """Nothing of it is secret: addresses with a password in them are refused."""

    model_config = ConfigDict(frozen=True)

    proxy: Address | None = None
    mirrors: Mapping[Mirror, Address] = Field(default_factory=dict)
    certificates: Certificates | None = None

    def narrowed(self, environment: EnvironmentFields) -> "Provision":
        """Return what stands for an environment: its own before the operator's, and both's authorities."""
        both = [text for text in (self.certificates, environment.certificates) if text]
        return Provision(
            proxy=environment.proxy or self.proxy,
            mirrors={**self.mirrors, **environment.mirrors},
            certificates="\n".join(both) or None,
        )

    @property
    def variables(self) -> dict[str, str]:
        """Return what tells programs of proxy and mirrors, in the setup phases alone."""
        found: dict[str, str] = {}
        if self.proxy:
            for name in ("HTTP_PROXY", "HTTPS_PROXY"):
                found |= {name: self.proxy, name.lower(): self.proxy}
            found |= {"NO_PROXY": _NO_PROXY, "no_proxy": _NO_PROXY}
        for mirror, url in self.mirrors.items():
            found |= _MIRRORS.get(mirror, _nothing)(url)
        return found

    @property
    def home_files(self) -> dict[str, bytes]:
        """Return files of the home folder by path: tools that are told of mirrors in no other way.

        They stay for the later phases: what these tools fetched they find again only with them.
        """
        found: dict[str, bytes] = {}
        if url := self.mirrors.get("cargo"):
            registry = json.dumps(f"sparse+{url.rstrip('/')}/")
            text = f'[source.crates-io]\nreplace-with = "mirror"\n[source.mirror]\nregistry = {registry}\n'
            found[".cargo/config.toml"] = text.encode()
        if url := self.mirrors.get("maven"):
            found[".m2/settings.xml"] = _MAVEN.format(url=escape(url)).encode()
        return found

    def trusting(self, script: str) -> tuple[tuple[str, ...], dict[str, bytes]]:
        """Return the command that runs a script with the certificates, and the files that it needs."""
        if self.certificates is None:
            return ("bash", script), {}
        files = {TRUST: _TRUST.encode(), BUNDLE: self.certificates.encode()}
        return ("bash", f"/app/input/{TRUST}", script), files


def _pip(url: str) -> dict[str, str]:
    found = {"PIP_INDEX_URL": url, "UV_DEFAULT_INDEX": url}
    if url.startswith("http:"):
        host = urlsplit(url).netloc
        found |= {"PIP_TRUSTED_HOST": host, "UV_INSECURE_HOST": host}
    return found


def _npm(url: str) -> dict[str, str]:
    found = {"NPM_CONFIG_REGISTRY": url, "YARN_NPM_REGISTRY_SERVER": url}
    if url.startswith("http:"):
        found["YARN_UNSAFE_HTTP_WHITELIST"] = urlsplit(url).hostname or ""
    return found


def _go(url: str) -> dict[str, str]:
    return {"GOPROXY": url}


def _nothing(url: str) -> dict[str, str]:  # noqa: ARG001 - one of those above
    return {}


_MIRRORS = {"pip": _pip, "npm": _npm, "go": _go}
