"""What the operator has every agent told."""

from codexsys_wiring.settings import PREFIX, ConfigurationError, Settings

MOST_BYTES = 32_768
"""As much as the instructions of a repository may have."""
_NAME = f"{PREFIX}AGENT_INSTRUCTIONS_FILE"


def agent_instructions(settings: Settings) -> str:
    """Return the text, nothing when there is none; raises `ConfigurationError`."""
    path = settings.agent_instructions_file
    if path is None:
        return ""
    try:
        with path.open("rb") as file:
            text = file.read(MOST_BYTES + 1)
        if len(text) > MOST_BYTES:
            raise ConfigurationError([f"{_NAME}: longer than {MOST_BYTES:,} bytes"])
        return text.decode().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError([f"{_NAME}: {error}"]) from error
