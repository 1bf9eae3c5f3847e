"""What an agent says that it is going to do, as people are shown it."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Line = Annotated[str, Field(min_length=1, max_length=500)]


class PlanStep(BaseModel):
    """One change, and whether it is made."""

    model_config = ConfigDict(frozen=True)

    step: Line
    done: bool = False


class Plan(BaseModel):
    """Its words are hostile until they are shown as text."""

    model_config = ConfigDict(frozen=True)

    steps: list[PlanStep] = Field(min_length=1, max_length=50)
    files: list[Line] = Field(default_factory=list, max_length=100)
    tests: list[Line] = Field(default_factory=list, max_length=100)

    @classmethod
    def read(cls, data: dict[str, Any]) -> "Plan | None":
        """Return the plan of an event, None when it is none."""
        try:
            return cls.model_validate(data)
        except ValidationError:
            return None
