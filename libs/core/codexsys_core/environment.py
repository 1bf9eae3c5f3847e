"""What a task runs in: image, setup script, variables, network of the setup phase."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator

SetupNetwork = Literal["public", "none"] | list[str]


class EnvironmentService(BaseModel):
    """A server beside the sandbox, such as a database: made anew for each sandbox."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,31}$")
    image: str = Field(min_length=1, max_length=255)
    variables: dict[str, str] = Field(default_factory=dict, max_length=50)
    command: tuple[str, ...] = ()
    """Instead of the image's own."""
    port: int = Field(ge=1, le=65_535)
    """On loopback; the sandbox's first phase waits until it answers."""


class Environment(BaseModel):
    """An inline environment. Variables enter only as the sandbox's own environment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    image: str | None = Field(default=None, max_length=255)
    setup: str | None = Field(default=None, max_length=65_536)
    """A bash script that runs online, before the base's own `setup.sh`."""
    variables: dict[str, str] = Field(default_factory=dict, max_length=200)
    setup_variables: dict[str, str] = Field(default_factory=dict, max_length=200)
    """Secrets: the environment's own setup script alone sees them."""
    network: dict[Literal["setup"], SetupNetwork] = Field(default_factory=dict)

    @field_validator("variables", "setup_variables")
    @classmethod
    def _names_are_free(cls, value: dict[str, str]) -> dict[str, str]:
        for name, text in value.items():
            if not name.isidentifier() or name.upper().startswith("CODEXSYS_"):
                message = f"{name!r} cannot be the name of a variable; CODEXSYS_ is reserved"
                raise ValueError(message)
            if "\0" in text:
                message = f"the value of {name} holds a NUL"
                raise ValueError(message)
        return value
