"""Every setting of every service: the one place that reads the environment."""

import os
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import platformdirs
from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from typing_extensions import override

PREFIX = "CODEXSYS_"
LONGEST_SOCKETS = 90
_PASSED_OVER = ("TEST_", "STACK_", "REQUIRE", "URL", "API_KEY", "CRASH_AT", "TESTING")


class ConfigurationError(Exception):
    """All that is wrong with the configuration, a line each."""

    def __init__(self, problems: list[str]) -> None:
        super().__init__("\n".join(problems))
        self.problems = problems


class Settings(BaseSettings):
    """The platform's settings. Flag > environment > ./codexsys.toml > user file > default."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, extra="forbid", frozen=True, use_attribute_docstrings=True
    )
    toml_files: ClassVar[tuple[Path, ...]] = (
        Path(platformdirs.user_config_dir("codexsys")) / "config.toml",
        Path("codexsys.toml"),
    )

    data_dir: Path = Field(default_factory=lambda: Path(platformdirs.user_data_dir("codexsys")))
    """Folder for everything that this host keeps: embedded database, objects, mirrors, sandboxes."""
    database_url: str = ""
    """`mysql://user:password@host:3306/name` or `sqlite:///path`. Empty: a SQLite file in the data folder."""
    queue_url: str = "memory:"
    """`kafka://host:9092[,host:9092]` or `memory:` (one process)."""
    queue_suffix: str = Field(default="", pattern=r"^[A-Za-z0-9._-]{0,64}$")
    """Appended to the names of topics and groups: installations that share brokers need one each."""
    redis_url: str = "memory:"
    """`redis://host:6379/0` or `memory:` (one process)."""
    store_url: str = ""
    """`s3://host:port?region=&style=path|virtual&tls=0|1` or `file:///path`. Empty: a folder in the data folder."""
    store_key: str = ""
    """Access key of the S3 store."""
    store_secret: SecretStr = SecretStr("")
    """Secret key of the S3 store."""
    store_public_url: str = ""
    """Address of the store as browsers reach it, `http[s]://host[:port]`. Empty: the one in store_url."""
    store_bucket_suffix: str = ""
    """Appended to both bucket names; COS wants an account id there."""
    store_patience_seconds: float = Field(default=300.0, ge=0)
    """How long a worker waits for a store that does not answer before the attempt ends."""
    sandbox: Literal["local", "docker", "kubernetes", "dummy", "none"] = "local"
    """What isolates the agent. Not set: `local`, or `docker` where local cannot be had and an engine answers. `dummy` isolates nothing and is for tests. `none` is said to `codexsys run` alone: `--sandbox none`."""
    docker_host: str = "unix:///var/run/docker.sock"
    """Where the Docker engine of this host answers, for the sandbox `docker`."""
    kubernetes_config: Path | None = None
    """Kubeconfig for the sandbox `kubernetes`. None: the service account of the pod that the worker is in."""
    kubernetes_context: str | None = None
    """Context of that kubeconfig. None: its current one."""
    kubernetes_namespace: str = "codexsys-sandboxes"
    """Namespace of sandboxes; it must admit pods with `NET_ADMIN`."""
    kubernetes_tools: str = "codexsys/tools:local"
    """Image of the platform's own containers in a sandbox's pod."""
    kubernetes_node_selector: dict[str, str] = Field(default_factory=dict)
    """Labels of the nodes that sandboxes run on, as JSON."""
    kubernetes_tolerations: list[dict[str, Any]] = Field(default_factory=list)
    """Tolerations of sandboxes' pods, as JSON."""
    kubernetes_runtime_class: str | None = None
    """Runtime class of sandboxes' pods, such as one for gVisor. None: the cluster's default."""
    kubernetes_priority_class: str | None = None
    """Priority class of sandboxes' pods. None: the cluster's default."""
    kubernetes_storage_class: str | None = None
    """Storage class of the disk that each sandbox gets, of `disk_mb`. None: sandboxes write to their node's disk, and the cluster evicts one that writes too much."""
    kubernetes_pull_secrets: Annotated[list[str], NoDecode] = Field(default_factory=list)
    """Secrets in that namespace with which images are pulled, comma-separated."""
    kubernetes_start_seconds: int = Field(default=600, gt=0)
    """How long a sandbox's pod may wait for room and for its images."""
    sandbox_image: str = "codexsys/agent:local"
    """Image of sandboxes whose task names none, for the sandboxes `docker` and `kubernetes`."""
    sandbox_images: Annotated[list[str], NoDecode] = Field(default_factory=list)
    """Images that tasks may name, with `*` and `?`, comma-separated. Empty: only the one in sandbox_image."""
    sandbox_wheels: Path | None = None
    """Folder of Python wheels shown to sandboxes as a package source. None: those shipped for the demo, if laid down."""
    model_url: str = ""
    """OpenAI-compatible endpoint, up to and with `/v1`. Empty: the shipped scripted demo model."""
    model: str = "scripted-demo"
    """Name of the model that tasks get unless they name one."""
    model_key: SecretStr = SecretStr("")
    """Key of the model's endpoint. It never leaves the gateway."""
    model_input_usd: float | None = Field(default=None, ge=0)
    """Price of a million input tokens, in dollars; 0 for a model that costs nothing. None: not known, so that a task with a limit of money cannot be made."""
    model_output_usd: float | None = Field(default=None, ge=0)
    """Price of a million output tokens, in dollars."""
    model_cached_usd: float | None = Field(default=None, ge=0)
    """Price of a million input tokens that the endpoint had read before, in dollars. None: as other input."""
    model_timeout_seconds: float = Field(default=300.0, gt=0)
    """Longest silence of the model's endpoint."""
    models_file: Path | None = None
    """TOML file with several endpoints, their models, prices and limits, instead of the settings above; see `docs/models.md`."""
    agent_instructions_file: Path | None = None
    """Markdown file, of at most 32 KiB, with what every agent is told before what its repository says, such as your conventions. It is no secret: it stands in each task's prompt.txt. Read at the start of a worker."""
    public_url: str = ""
    """Where people reach the API and the pages. Empty: the API's own address."""
    gateway_url: str = ""
    """Where doors reach the gateways, comma-separated. Empty: the gateway's own address."""
    gateway_sockets: Path | None = None
    """Folder in which each gateway of this host keeps a unix socket, for doors in containers. None: `gateways` in the data folder where the sandbox is `docker`, otherwise no sockets."""
    allowed_hosts: Annotated[list[str], NoDecode] = Field(default_factory=list)
    """Names beside that of public_url, `localhost` and addresses in digits under which browsers may ask for pages, comma-separated."""
    api_host: str = "127.0.0.1"
    """Address that the API listens on."""
    api_port: int = Field(default=8080, ge=0, le=65_535)
    """Port that the API listens on. 0: any free one."""
    gateway_host: str = "127.0.0.1"
    """Address that the gateway listens on."""
    gateway_port: int = Field(default=8090, ge=0, le=65_535)
    """Port that the gateway listens on."""
    health_host: str = "127.0.0.1"
    """Address on which worker and relay answer /healthz, /readyz and /metrics."""
    health_port: int = Field(default=0, ge=0, le=65_535)
    """Port for them. 0: any free one."""
    drain_seconds: float = Field(default=5.0, ge=0, le=300)
    """How long API and gateway go on serving once they are asked to stop, while /readyz fails and answers end their connections, so that whoever spreads requests goes elsewhere. `codexsys up` does without."""
    grace_seconds: float = Field(default=120.0, ge=1, le=3600)
    """How long after that what is under way may take: model calls, uploads, downloads. `codexsys up` gives 10."""
    secret_key: SecretStr = SecretStr("")
    """Signs cookies and local links. Empty: made on first start and kept in the data folder (0600)."""
    allow_networks: Annotated[list[str], NoDecode] = Field(default_factory=list)
    """Networks (CIDR) beside public addresses that the platform may connect to: private forges, tests."""
    allow_http_git: bool = False
    """Whether Git may be fetched over plain http."""
    setup_networks: Annotated[list[str], NoDecode] = Field(default_factory=list)
    """`cidr:port` that the setup phase may reach beside public addresses: package mirrors, tests."""
    setup_proxy: str = ""
    """HTTP proxy that setup's programs are told to use, `http://host:port`. An environment's own goes before it."""
    setup_mirrors: Annotated[dict[str, str], NoDecode] = Field(default_factory=dict)
    """Package mirrors for setup, such as `pip=https://mirror/simple,npm=https://mirror/npm`: of pip, npm, go, cargo, maven."""
    setup_ca_file: Path | None = None
    """PEM file of authorities that setup's programs trust beside the known ones."""
    setup_cache_hours: float = Field(default=168.0, ge=0, le=8760)
    """How long the result of a setup is used for tasks of the same tenant with the very same inputs. 0: never."""
    lease_seconds: float = Field(default=15.0, gt=0)
    """How long a worker owns an attempt without renewing; it renews three times as often."""
    takeover_grace_seconds: float = Field(default=5.0, ge=0)
    """How long after its lease an attempt with a live sandbox is left to workers that can reach it, before the relay restarts it from its checkpoint elsewhere. Longer than a third of the lease."""
    relay_seconds: float = Field(default=2.0, gt=0)
    """Pause between two passes of the relay."""
    retention_code_days: float = Field(default=7, ge=0)
    """How long after its end a task's uploaded zip and base are kept. A task that is not over keeps what it needs."""
    retention_artifact_days: float = Field(default=90, ge=0)
    """How long after its end a task's artifacts, logs and checkpoints are kept. The task's row stays for ever."""
    retention_log_days: float = Field(default=7, ge=0)
    """How long a complete log is kept in the database beside its artifact."""
    retention_checkpoints: int = Field(default=2, ge=1)
    """How many of a task's last checkpoints are kept."""
    retention_seconds: float = Field(default=60.0, gt=0)
    """Pause between two passes of the relay that remove what is no longer kept."""
    worker_slots: int = Field(default=2, ge=1, le=500)
    """Attempts that one worker claims at the same time; of those that others of its host left, it takes as many again."""
    retry_seconds: float = Field(default=2.0, gt=0, le=300)
    """Pause before a task's second attempt; doubled with each further one, up to five minutes, less up to half by chance."""
    tenant_max_running: int = Field(default=0, ge=0, le=1_000_000)
    """Attempts that a tenant may have running at the same time, unless its own cap says otherwise. 0: no cap."""
    tenant_max_queued: int = Field(default=10_000, ge=0, le=1_000_000)
    """Attempts that a tenant may have queued, unless its own cap says otherwise; more are refused (429). A tenant's own cap is kept exactly, this one may be passed by submits of other processes within the same second. 0: no cap."""
    tenant_max_usd_per_day: float = Field(default=0, ge=0, le=1_000_000)
    """Dollars that a tenant's model calls may cost in a day (in UTC), unless its own limit says otherwise. 0: no limit."""
    tenant_max_tokens_per_day: int = Field(default=0, ge=0, le=10**15)
    """Tokens that a tenant's model calls may use in a day (in UTC), unless its own limit says otherwise. 0: no limit."""
    rate_per_minute: int = Field(default=12_000, ge=0, le=10_000_000)
    """Requests to the API that one key may make in a minute; more are refused (429). 0: as many as it likes."""
    rate_burst: int = Field(default=2_000, ge=1, le=1_000_000)
    """Requests that one key may make at once, before the rate counts."""
    share_rate_per_minute: int = Field(default=3_000, ge=0, le=10_000_000)
    """Requests that all who have one share link may make in a minute. 0: as many as they like."""
    share_rate_burst: int = Field(default=600, ge=1, le=1_000_000)
    """Requests by one share link at once, before the rate counts."""
    max_upload_mb: int = Field(default=256, ge=1, le=10_240)
    """Largest zip, in MiB."""
    max_source_mb: int = Field(default=1024, ge=1, le=102_400)
    """Largest unpacked source, in MiB."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """Least important line that is logged."""
    log_format: Literal["json", "text", "auto"] = "auto"
    """auto: text on a terminal, JSON elsewhere."""

    @field_validator(
        "allowed_hosts",
        "allow_networks",
        "setup_networks",
        "sandbox_images",
        "kubernetes_pull_secrets",
        mode="before",
    )
    @classmethod
    def _comma_separated(cls, value: object) -> object:
        return (
            [part.strip() for part in value.split(",") if part.strip()]
            if isinstance(value, str)
            else value
        )

    @field_validator("setup_mirrors", mode="before")
    @classmethod
    def _pairs(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        pairs = [part.strip().partition("=") for part in value.split(",") if part.strip()]
        return {name.strip(): url.strip() for name, _, url in pairs}

    @field_validator("sandbox")
    @classmethod
    def _said(cls, value: str) -> str:
        """Refuse what no file and no variable may say for whoever runs a task."""
        if value == "none":
            raise ValueError("without a sandbox nothing but `codexsys run --sandbox none` works")
        return value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("gateway_sockets")
    @classmethod
    def _short(cls, value: Path | None) -> Path | None:
        if value is not None and len(str(value.absolute())) > LONGEST_SOCKETS:
            message = (
                f"a unix socket's path is short: name a folder of at most {LONGEST_SOCKETS} letters"
            )
            raise ValueError(message)
        return value.expanduser().absolute() if value else None

    @property
    def sockets(self) -> Path | None:
        """Return the folder of the gateways' sockets, None where nobody needs them."""
        if self.gateway_sockets or self.sandbox != "docker":
            return self.gateway_sockets
        folder = self.data_dir / "gateways"
        if len(str(folder)) > LONGEST_SOCKETS:
            problem = (
                f"{PREFIX}GATEWAY_SOCKETS: {folder} is too long for unix sockets; name another"
            )
            raise ConfigurationError([problem])
        return folder

    @property
    def database(self) -> str:
        """Return the database's URL with its default filled in."""
        return self.database_url or f"sqlite:///{self.data_dir / 'codexsys.db'}"

    @property
    def store(self) -> str:
        """Return the store's URL with its default filled in."""
        return self.store_url or f"file://{self.data_dir / 'objects'}"

    @property
    def api_url(self) -> str:
        """Return where people reach the API."""
        return self.public_url.rstrip("/") or f"http://{self.api_host}:{self.api_port}"

    @property
    def gateway_urls(self) -> list[str]:
        """Return where doors reach the gateways."""
        named = [url.strip().rstrip("/") for url in self.gateway_url.split(",") if url.strip()]
        return named or [f"http://{self.gateway_host}:{self.gateway_port}"]

    @property
    def drain(self) -> float:
        """Return how long to go on once asked to stop: in one process nobody can go elsewhere."""
        return 0.0 if self.one_process else self.drain_seconds

    @property
    def grace(self) -> float:
        """Return how long what is under way may take after that."""
        return min(10.0, self.grace_seconds) if self.one_process else self.grace_seconds

    @property
    def one_process(self) -> bool:
        """Say whether a part lives in the process, so that services cannot be started alone."""
        return "memory:" in (self.queue_url, self.redis_url)

    def refuse_memory(self, service: str) -> None:
        """Raise when a part would live in this process alone."""
        if self.one_process:
            problem = f"{service} alone cannot use memory: parts; set CODEXSYS_QUEUE_URL and CODEXSYS_REDIS_URL"
            raise ConfigurationError([problem])

    @classmethod
    @override
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        files = TomlConfigSettingsSource(settings_cls, toml_file=list(cls.toml_files))
        return (init_settings, env_settings, files)


def load_settings(**flags: Any) -> Settings:
    """Read all settings; raises `ConfigurationError` with every problem at once."""
    environment = dict(os.environ)  # noqa: TID251 - the one place
    problems = [*_unknown(environment), *_read_secret_files(environment, flags)]
    try:
        settings = Settings(**flags)
    except ValidationError as error:
        lines = [f"{_variable(e['loc'])}: {e['msg']}" for e in error.errors()]
        raise ConfigurationError(problems + lines) from None
    if problems:
        raise ConfigurationError(problems)
    return settings


def user_file(name: str) -> Path:
    """Return a file in the user's own configuration folder."""
    return Path(platformdirs.user_config_dir("codexsys")) / name


def crash_at() -> str:
    """Return the crash point of a process under test; none unless it says that it is one."""
    testing = os.environ.get(f"{PREFIX}TESTING") == "1"  # noqa: TID251
    return os.environ.get(f"{PREFIX}CRASH_AT", "") if testing else ""  # noqa: TID251


def client_settings() -> Mapping[str, str]:
    """Return what the command line's client reads: CODEXSYS_URL and CODEXSYS_API_KEY."""
    return {name: os.environ.get(PREFIX + name, "") for name in ("URL", "API_KEY")}  # noqa: TID251


def _variable(location: tuple[int | str, ...]) -> str:
    return PREFIX + "__".join(str(part) for part in location).upper()


def _unknown(environment: Mapping[str, str]) -> list[str]:
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    problems = []
    for name in environment:
        rest = name.removeprefix(PREFIX)
        if (
            rest == name
            or rest.startswith(_PASSED_OVER)
            or known & {name, name.removesuffix("_FILE")}
            or _from_kubernetes(rest)
        ):
            continue
        near = get_close_matches(name, known, n=1)
        problems.append(f"{name} is not a setting" + (f"; did you mean {near[0]}?" if near else ""))
    return problems


def _from_kubernetes(rest: str) -> bool:
    """Tell what Kubernetes injects for Services, such as CODEXSYS_API_SERVICE_HOST."""
    return (
        "_SERVICE_" in f"_{rest}"
        or "_PORT_" in f"_{rest}"
        or (rest.endswith("_PORT") and rest.lower() not in Settings.model_fields)
    )


def _read_secret_files(environment: Mapping[str, str], flags: dict[str, Any]) -> list[str]:
    problems = []
    for name, field in Settings.model_fields.items():
        path = environment.get(f"{PREFIX}{name.upper()}_FILE")
        if path is None or field.annotation is not SecretStr:
            continue
        try:
            flags.setdefault(name, Path(path).read_text(encoding="utf-8").strip())
        except OSError as error:
            problems.append(f"{PREFIX}{name.upper()}_FILE: {error.strerror}")
    return problems
