"""What a model call may take at most, in tokens and whole millionths of a dollar."""

from dataclasses import dataclass, replace
from datetime import date

from codexsys_core.wallet import Prices

MILLION = 1_000_000


@dataclass(frozen=True)
class Rates:
    """Prices in millionths of a dollar per million tokens, as whole numbers."""

    input: int
    output: int
    cached: int

    def micros(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> int:
        """Return the cost, rounded up."""
        cached = min(cached_tokens, input_tokens)
        total = (
            (input_tokens - cached) * self.input
            + cached * self.cached
            + output_tokens * self.output
        )
        return -(-total // MILLION)


@dataclass(frozen=True)
class Call:
    """A call that wants to be made."""

    id: str
    task_id: str
    sandbox_id: str
    tenant_id: str
    day: date
    """In UTC, by the clock of whoever asks: every row of a call says the same."""
    input_tokens: int
    output_tokens: int
    rates: Rates
    priced: bool
    """Whether the rates are known at all."""
    seconds: float

    @property
    def tokens(self) -> int:
        """Return the most tokens that it may take."""
        return self.input_tokens + self.output_tokens

    @property
    def micros(self) -> int:
        """Return the most that it may cost."""
        return self.rates.micros(self.input_tokens, self.output_tokens)

    def capped(self, output_tokens: int) -> "Call":
        """Return the call with less output."""
        return replace(self, output_tokens=output_tokens)

    def affordable(self, micros: int) -> int:
        """Return how much of the output fits into so much money."""
        left = micros * MILLION - self.input_tokens * self.rates.input
        if left < 0:
            return 0
        return left // self.rates.output if self.rates.output else self.output_tokens


def rates_of(prices: Prices | None) -> Rates:
    """Return prices as whole numbers; nothing where they are not known."""
    if prices is None:
        return Rates(0, 0, 0)
    cached = prices.input_usd if prices.cached_usd is None else prices.cached_usd
    return Rates(*(round(usd * MILLION) for usd in (prices.input_usd, prices.output_usd, cached)))
