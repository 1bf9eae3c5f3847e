"""The models of this platform: from one endpoint's settings, or from a file of several."""

import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from codexsys_adapters.demo_model import NAME, ScriptedModels
from codexsys_adapters.models import VERSION, ChatModels, Endpoint, MessagesModels
from codexsys_adapters.outbound import Outbound
from codexsys_core.catalogue import Catalogue, Offer, Rule, Upstream
from codexsys_core.model import Models
from codexsys_core.wallet import Prices
from codexsys_wiring.settings import PREFIX, ConfigurationError, Settings

_Name = Annotated[str, Field(min_length=1, max_length=200)]


class _Strict(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class _ModelGiven(_Strict):
    name: _Name
    served_as: _Name | None = None
    input_usd: float | None = Field(default=None, ge=0)
    output_usd: float | None = Field(default=None, ge=0)
    cached_usd: float | None = Field(default=None, ge=0)
    context_tokens: int | None = Field(default=None, ge=1)
    output_tokens: int | None = Field(default=None, ge=1)


class _UpstreamGiven(_Strict):
    name: Annotated[str, Field(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
    url: Annotated[str, Field(pattern=r"^https?://[^\s@?#]+$")]
    key_file: Path | None = None
    speaks: Literal["chat", "messages"] = "chat"
    length_field: Literal["max_tokens", "max_completion_tokens"] = "max_tokens"
    parallel: int = Field(default=64, ge=1, le=100)  # as many connections there are
    first_byte_seconds: float = Field(default=300.0, gt=0)
    idle_seconds: float = Field(default=120.0, gt=0)
    answer_seconds: float = Field(default=1800.0, gt=0, le=1800)
    models: list[_ModelGiven] = Field(min_length=1)


class _FileGiven(_Strict):
    default: _Name
    upstreams: list[_UpstreamGiven] = Field(min_length=1)
    rules: list[Rule] = Field(default_factory=list)


def read_catalogue(settings: Settings) -> Catalogue:
    """Return which models there are; raises `ConfigurationError`. No key is looked at."""
    if settings.models_file is None:
        return _of_one(settings)
    given = _read(settings.models_file)
    names = {model.name for upstream in given.upstreams for model in upstream.models}
    problems = [
        *(f"no upstream serves the model {name}" for name in _named(given) if name not in names),
        *(f"there are several upstreams {name}" for name in _several(given)),
    ]
    if problems:
        raise _wrong(problems)
    return Catalogue(
        default=given.default,
        upstreams=tuple(_upstream(each) for each in given.upstreams),
        rules=tuple(given.rules),
    )


def known_keys(settings: Settings) -> list[str]:
    """Return all keys that can be read here, so that none of them is ever shown."""
    keys = [settings.model_key.get_secret_value()]
    if settings.models_file is not None:
        for upstream in _read(settings.models_file).upstreams:
            try:
                keys.append(_key(settings.models_file, upstream))
            except OSError:  # of gateways alone, as it should be
                continue
    return keys


def open_models(settings: Settings, catalogue: Catalogue) -> Mapping[str, Models]:
    """Make what answers model calls, by upstream: the gateway's, which alone has the keys."""
    if settings.models_file is None:
        (upstream,) = catalogue.upstreams
        key = settings.model_key.get_secret_value()
        return {upstream.name: _models(settings, upstream, key, "max_tokens")}
    given = {each.name: each for each in _read(settings.models_file).upstreams}
    opened, problems = {}, []
    for upstream in catalogue.upstreams:
        named = given[upstream.name]
        try:
            key = _key(settings.models_file, named)
        except OSError as error:
            problems.append(f"key_file of {upstream.name}: {error.strerror}")
            continue
        opened[upstream.name] = _models(settings, upstream, key, named.length_field)
    if problems:
        raise _wrong(problems)
    return opened


def _of_one(settings: Settings) -> Catalogue:
    prices = None
    if not settings.model_url:
        prices = Prices(input_usd=0.0, output_usd=0.0)
    if settings.model_input_usd is not None and settings.model_output_usd is not None:
        prices = Prices(
            input_usd=settings.model_input_usd,
            output_usd=settings.model_output_usd,
            cached_usd=settings.model_cached_usd,
        )
    model = settings.model if settings.model_url else NAME
    upstream = Upstream(
        name="model",
        url=settings.model_url,
        first_byte_seconds=settings.model_timeout_seconds,
        idle_seconds=settings.model_timeout_seconds,
        offers=(Offer(model=model, served_as=model, prices=prices),),
    )
    return Catalogue(default=model, upstreams=(upstream,))


def _upstream(given: _UpstreamGiven) -> Upstream:
    kept = given.model_dump(include=set(Upstream.model_fields) - {"offers"})
    return Upstream(**kept, offers=tuple(_offer(model) for model in given.models))


def _offer(given: _ModelGiven) -> Offer:
    prices = None
    if given.input_usd is not None and given.output_usd is not None:
        prices = Prices(
            input_usd=given.input_usd, output_usd=given.output_usd, cached_usd=given.cached_usd
        )
    return Offer(
        model=given.name,
        served_as=given.served_as or given.name,
        prices=prices,
        context_tokens=given.context_tokens,
        output_tokens=given.output_tokens,
    )


def _models(settings: Settings, upstream: Upstream, key: str, length_field: str) -> Models:
    if not upstream.url:
        return ScriptedModels()
    host = urlsplit(upstream.url).hostname or ""
    way = Outbound(allow_networks=settings.allow_networks, allow_http=True, trusted_hosts=[host])
    client = way.async_client()
    silence = (upstream.first_byte_seconds, upstream.idle_seconds, upstream.answer_seconds)
    if upstream.speaks == "messages":
        headers = {"x-api-key": key, "anthropic-version": VERSION}
        return MessagesModels(Endpoint(upstream.url, headers, client, *silence))
    from codexsys_adapters.models.driver import OpenAIEndpoint  # 0.6 s, and of gateways alone

    endpoint = OpenAIEndpoint(upstream.url, {}, client, *silence, key=key)
    return ChatModels(endpoint, length_field=length_field)


def _read(path: Path) -> _FileGiven:
    try:
        return _FileGiven.model_validate(tomllib.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise _wrong([f"{path}: {error.strerror}"]) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise _wrong([f"{path}: {error}"]) from None
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors()]
        raise _wrong([f"{path}: {line}" for line in lines]) from None


def _key(models_file: Path, given: _UpstreamGiven) -> str:
    """Return an upstream's key; the path is taken from where the file is."""
    if given.key_file is None:
        return ""
    return (models_file.parent / given.key_file).read_text(encoding="utf-8").strip()


def _named(given: _FileGiven) -> Iterator[str]:
    yield given.default
    yield from (rule.model for rule in given.rules)


def _several(given: _FileGiven) -> list[str]:
    counted = Counter(upstream.name for upstream in given.upstreams)
    return [name for name, count in counted.items() if count > 1]


def _wrong(problems: list[str]) -> ConfigurationError:
    return ConfigurationError([f"{PREFIX}MODELS_FILE: {problem}" for problem in problems])
