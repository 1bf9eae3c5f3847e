"""What a task may use; every field has a default and a ceiling."""

from pydantic import BaseModel, ConfigDict, Field


class Limits(BaseModel):
    """Limits of one task. Attempts, retries by the platform and resumes share them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    task_seconds: int = Field(default=86_400, ge=1, le=604_800)
    """Of the whole task since a worker first took it: every attempt and round, and the waiting between them."""
    wall_seconds: int = Field(default=1800, ge=10, le=86_400)
    """Of one run of the agent: a rejected change gives it another."""
    queue_seconds: int = Field(default=86_400, ge=1, le=604_800)
    setup_seconds: int = Field(default=600, ge=1, le=7200)
    checks_seconds: int = Field(default=900, ge=1, le=7200)
    calls: int = Field(default=300, ge=1, le=10_000)
    steps: int = Field(default=60, ge=1, le=1000)
    """Of one run of the agent; half as many again, once, where the last ten changed something."""
    tokens: int = Field(default=2_000_000, ge=1, le=1_000_000_000)
    cost_usd: float | None = Field(default=5.0, ge=0, le=10_000)
    """None: no limit, which a model without a known price needs."""
    attempts: int = Field(default=2, ge=1, le=10)
    verify_rounds: int = Field(default=3, ge=0, le=10)
    cpus: float = Field(default=2, gt=0, le=64)
    memory_mb: int = Field(default=4096, ge=64, le=262_144)
    disk_mb: int = Field(default=10_240, ge=64, le=1_048_576)
    pids: int = Field(default=512, ge=16, le=32_768)
