"""Which models there are, who serves them at what price, and which of them a task gets."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from codexsys_core.wallet import Prices

OUTPUT_TOKENS = 16_000
_OF_CONTEXT = 4
"""Without a word on it, a reply takes at most this part of what the model can see."""


class Offer(BaseModel):
    """A model as one upstream serves it."""

    model_config = ConfigDict(frozen=True)

    model: str
    """What tasks call it."""
    served_as: str
    """What the upstream calls it."""
    prices: Prices | None = None
    context_tokens: int | None = None
    output_tokens: int | None = None

    @property
    def most_output(self) -> int:
        """Return the most output tokens of one call."""
        if self.output_tokens is not None:
            return self.output_tokens
        return min(OUTPUT_TOKENS, (self.context_tokens or 10**9) // _OF_CONTEXT)


class Upstream(BaseModel):
    """An endpoint that serves models. Where its key is only the gateway looks up."""

    model_config = ConfigDict(frozen=True)

    name: str
    url: str
    """Empty: the shipped scripted model."""
    speaks: Literal["chat", "messages"] = "chat"
    parallel: int = 64
    """Calls that one gateway makes to it at the same time."""
    first_byte_seconds: float = 300.0
    idle_seconds: float = 120.0
    answer_seconds: float = 1800.0
    offers: tuple[Offer, ...]


class Rule(BaseModel):
    """Which model tasks get that name none; all that is said must hold."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    model: str
    mode: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    least_characters: int = Field(default=0, ge=0)
    most_characters: int | None = Field(default=None, ge=0)

    def fits(self, *, mode: str, labels: dict[str, str], characters: int) -> bool:
        """Say whether it is about such a task."""
        return (
            self.mode in (None, mode)
            and self.labels.items() <= labels.items()
            and self.least_characters <= characters
            and (self.most_characters is None or characters <= self.most_characters)
        )


class Catalogue(BaseModel):
    """All upstreams, in the order in which they are tried."""

    model_config = ConfigDict(frozen=True)

    default: str
    upstreams: tuple[Upstream, ...]
    rules: tuple[Rule, ...] = ()

    @property
    def models(self) -> list[str]:
        """Return the models that tasks may name, the default first."""
        found = [offer.model for upstream in self.upstreams for offer in upstream.offers]
        return list(dict.fromkeys([self.default, *found]))

    def choose(self, *, mode: str, labels: dict[str, str], characters: int) -> str:
        """Return the model of a task that names none: the first rule's that fits."""
        fitting = (
            rule.model
            for rule in self.rules
            if rule.fits(mode=mode, labels=labels, characters=characters)
        )
        return next(fitting, self.default)

    def priced(self, model: str) -> bool:
        """Say whether a limit of money can be kept: somebody serves it at a known price."""
        return any(
            offer.prices is not None
            for upstream in self.upstreams
            for offer in upstream.offers
            if offer.model == model
        )


def dearest(prices: list[Prices]) -> Prices:
    """Return the most that a call may cost, whoever answers it."""
    return Prices(
        input_usd=max(each.input_usd for each in prices),
        output_usd=max(each.output_usd for each in prices),
        cached_usd=max(
            each.input_usd if each.cached_usd is None else each.cached_usd for each in prices
        ),
    )
