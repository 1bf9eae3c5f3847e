"""What a task runs in: image, setup script, variables, secrets and network of the setup phase."""

import base64
import ipaddress
import re
import ssl
from collections.abc import Mapping
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SecretStr,
    model_validator,
)

from codexsys_core.policy import Policy
from codexsys_core.secret import SecretBox
from codexsys_core.verdict import Checks

VALUE_BYTES = 130_000
"""The kernel takes 131,072 for a variable with its name."""
Mirror = Literal["pip", "npm", "go", "cargo", "maven"]
_VARIABLE = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,127}")
_ADDRESS = "give it as http://host or https://host, with port and path as needed"
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----\s+([A-Za-z0-9+/=\s]{1,65536}?)-----END CERTIFICATE-----"
)


def _listed(value: Any) -> Any:
    """Take a JSON list where a tuple is wanted, also in strict mode."""
    return tuple(value) if isinstance(value, list) else value


def _named(name: str) -> str:
    if not _VARIABLE.fullmatch(name) or name.upper().startswith("CODEXSYS_"):
        message = f"{name[:80]!r} cannot be the name of a variable; CODEXSYS_ is reserved"
        raise ValueError(message)
    return name


def _value(text: str) -> str:
    if "\0" in text:
        raise ValueError("a value cannot hold a NUL")
    if len(text.encode(errors="surrogatepass")) > VALUE_BYTES:
        message = f"a value has at most {VALUE_BYTES:,} bytes"
        raise ValueError(message)
    return text


def _secret(value: SecretStr) -> SecretStr:
    _value(value.get_secret_value())
    return value


def reachable(entry: str) -> str:
    """Return a `cidr:port` that can be one."""
    network, _, port = entry.rpartition(":")
    try:
        ipaddress.ip_network(network.strip("[]"), strict=False)
        good = port.isdecimal() and 1 <= int(port) <= 65_535
    except ValueError:
        good = False
    if not good:
        message = (
            f"{entry[:80]!r} is not an address or network with a port, such as 10.1.2.0/24:443"
        )
        raise ValueError(message)
    return entry


def address(url: str) -> str:
    """Return a http(s) URL that names no user and no password."""
    if not url.isascii() or not url.isprintable() or set(url) & set(" \"'<>\\"):
        raise ValueError(_ADDRESS)
    try:
        parts = urlsplit(url)
        port = parts.port  # raises for what is no port
    except ValueError as error:
        raise ValueError(_ADDRESS) from error
    if parts.scheme not in ("http", "https") or not parts.hostname or port == 0:
        raise ValueError(_ADDRESS)
    if "@" in parts.netloc:
        raise ValueError("no user and password here; give them as a setup variable")
    return url


def certificates(text: str) -> str:
    """Return a PEM bundle of which every certificate can be read."""
    if "PRIVATE KEY" in text:
        raise ValueError("this holds a private key; give certificates only")
    found = _CERTIFICATE.findall(text)
    if not found or len(found) != text.count("-----BEGIN"):
        raise ValueError("give certificates in PEM, each from BEGIN CERTIFICATE to END CERTIFICATE")
    try:
        for body in found:
            der = base64.b64decode("".join(body.split()), validate=True)
            ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=der)
    except (ValueError, ssl.SSLError) as error:
        raise ValueError("one of these certificates cannot be read") from error
    return text


CommandPattern = Annotated[str, Field(pattern=r"^[A-Za-z0-9_.*?+\[\]-]{1,100}$")]
Name = Annotated[str, AfterValidator(_named)]
Address = Annotated[str, Field(min_length=1, max_length=2048), AfterValidator(address)]
Certificates = Annotated[str, Field(max_length=1_000_000), AfterValidator(certificates)]
SetupNetwork = (
    Literal["public", "none"]
    | Annotated[list[Annotated[str, AfterValidator(reachable)]], Field(max_length=100)]
)


class EnvironmentService(BaseModel):
    """A server beside the sandbox, such as a database: made anew for each sandbox."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    image: str = Field(min_length=1, max_length=255)
    variables: dict[Name, Annotated[str, AfterValidator(_value)]] = Field(
        default_factory=dict, max_length=50
    )
    command: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    """Instead of the image's own."""
    port: int = Field(ge=1, le=65_535)
    """On loopback; the sandbox's first phase waits until it answers."""


class EnvironmentFields(BaseModel):
    """Everything but the secrets. Variables enter only as the sandbox's own environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str | None = Field(default=None, min_length=1, max_length=255)
    setup: str | None = Field(default=None, max_length=65_536)
    """A bash script that runs online, before the base's own `setup.sh`."""
    variables: dict[Name, Annotated[str, AfterValidator(_value)]] = Field(
        default_factory=dict, max_length=200
    )
    network: dict[Literal["setup"], SetupNetwork] = Field(default_factory=dict)
    services: Annotated[tuple[EnvironmentService, ...], BeforeValidator(_listed)] = Field(
        default=(), max_length=8
    )
    """Servers beside the sandbox, in every phase; only where the platform has images."""
    certificates: Certificates | None = None
    """Authorities (PEM) that setup trusts beside the known ones."""
    proxy: Address | None = None
    """What setup's programs are told to go through; none: the operator's."""
    mirrors: dict[Mirror, Address] = Field(default_factory=dict)
    """Where setup's package managers look; each left out is the operator's."""
    secrets_in_setup_sh: bool = False
    """Whether the base's own `setup.sh` sees the setup variables, too."""
    cache: bool = True
    """Whether the result of setup may be kept for later tasks with the very same inputs."""
    checks: Checks | None = None
    """For tasks that do not say how they are checked."""
    allowed_commands: list[CommandPattern] | None = Field(default=None, max_length=200)
    """Programs that the agent's commands may run, with * and ?; none: all. A rule for it, not a wall."""
    policy: Policy = Field(default_factory=dict)
    """What is done about a kind of flag: `flag` (the default) shows it, `ask` asks a person, `refuse` ends the task."""

    @model_validator(mode="after")
    def _services_differ(self) -> "EnvironmentFields":
        for what in ("name", "port"):
            given = [getattr(service, what) for service in self.services]
            if len(set(given)) < len(given):
                message = f"two services have the same {what}"
                raise ValueError(message)
        return self


class EnvironmentGiven(EnvironmentFields):
    """An environment as a person gives it, with its secrets in clear; it is never stored."""

    setup_variables: dict[Name, Annotated[SecretStr, AfterValidator(_secret)]] = Field(
        default_factory=dict, max_length=200
    )
    """Secrets: the environment's own setup script alone sees them."""

    def sealed(self, secrets: SecretBox, *, row: str) -> "Environment":
        """Return what may be stored in a row."""
        if self is UNSAID:
            return _STORED_UNSAID
        clear = {name: value.get_secret_value() for name, value in self.setup_variables.items()}
        fields = {name: getattr(self, name) for name in EnvironmentFields.model_fields}
        return Environment(**fields, setup_variables=_sealed(secrets, clear, row))


class Environment(EnvironmentFields):
    """An environment as it is stored: in a task's row as it was when the task was accepted."""

    setup_variables: dict[str, str] = Field(default_factory=dict)
    """Name → sealed value; `opened` gives them back, to the setup phase alone."""

    def opened(self, secrets: SecretBox, *, row: str) -> dict[str, str]:
        """Return the secrets in clear; raises `SecretUnreadable`."""
        return {
            name: secrets.open(value, row=f"{row}/{name}")
            for name, value in self.setup_variables.items()
        }

    def moved(self, secrets: SecretBox, *, row: str, to: str) -> "Environment":
        """Return the same for another row; raises `SecretUnreadable`."""
        clear = self.opened(secrets, row=row)
        return self.model_copy(update={"setup_variables": _sealed(secrets, clear, to)})


UNSAID = EnvironmentGiven()
"""What most tasks run in: it is made, and looked through, once for all of them."""
_STORED_UNSAID = Environment()


def _sealed(secrets: SecretBox, clear: Mapping[str, str], row: str) -> dict[str, str]:
    # The name is part of the row's: two values cannot change places either.
    return {name: secrets.seal(value, row=f"{row}/{name}") for name, value in clear.items()}
