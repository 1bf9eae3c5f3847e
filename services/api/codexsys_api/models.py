"""The model of a task: named and there, or by the platform's rules; and whether its money can be limited."""

from codexsys_core.catalogue import Catalogue
from codexsys_core.errors import FieldError, Invalid
from codexsys_core.limits import Limits
from codexsys_core.task import Mode, Requirements


def chosen(
    catalogue: Catalogue,
    *,
    named: str | None,
    mode: Mode,
    labels: dict[str, str],
    prompt: str,
    requirements: Requirements,
) -> str:
    """Return the model that a task gets; raises `Invalid` (model_unknown)."""
    if named is None:
        characters = len(prompt) + sum(len(line) for _, lines in requirements for line in lines)
        return catalogue.choose(mode=mode, labels=labels, characters=characters)
    if named in catalogue.models:
        return named
    detail = f"There is no model {named!r} here. There are: {', '.join(catalogue.models)}."
    raise Invalid(detail, code="model_unknown", fields=[FieldError("/model", detail)])


def limited(catalogue: Catalogue, model: str, limits: Limits, *, money_named: bool) -> Limits:
    """Return the limits that can be kept; raises `Invalid` (price_unknown) rather than drop one that was named."""
    if limits.cost_usd is None or catalogue.priced(model):
        return limits
    if not money_named:
        return limits.model_copy(update={"cost_usd": None})
    priced = [each for each in catalogue.models if catalogue.priced(each)]
    others = f", or take one of: {', '.join(priced)}" if priced else ""
    detail = (
        f"The price of the model {model!r} is not known here, so a limit of money cannot be kept. "
        f"Leave it out (limits.tokens and limits.calls are kept){others}."
    )
    fields = [FieldError("/limits/cost_usd", detail)]
    raise Invalid(detail, code="price_unknown", fields=fields)
