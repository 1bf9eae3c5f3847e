"""What the operator's settings give to every setup: proxy, mirrors, authorities."""

from pydantic import ValidationError

from codexsys_core.provision import Provision
from codexsys_wiring.settings import PREFIX, ConfigurationError, Settings


def setup_provision(settings: Settings) -> Provision:
    """Return it; raises `ConfigurationError` with all that is wrong with it."""
    problems = []
    authorities = None
    if settings.setup_ca_file is not None:
        try:
            authorities = settings.setup_ca_file.read_text(encoding="ascii")
        except (OSError, UnicodeDecodeError) as error:
            problems.append(f"{PREFIX}SETUP_CA_FILE: {error}")
    given = {
        "proxy": settings.setup_proxy or None,
        "mirrors": settings.setup_mirrors,
        "certificates": authorities,
    }
    try:
        found = Provision.model_validate(given)
    except ValidationError as error:
        problems += [_line(each["loc"], str(each["msg"])) for each in error.errors()]
        raise ConfigurationError(problems) from None
    if problems:
        raise ConfigurationError(problems)
    return found


def _line(location: tuple[int | str, ...], said: str) -> str:
    field, *rest = location
    name = {"proxy": "PROXY", "mirrors": "MIRRORS"}.get(str(field), "CA_FILE")
    which = f" {rest[0]}" if rest else ""
    return f"{PREFIX}SETUP_{name}{which}: {said.removeprefix('Value error, ')}"
