"""What a task and its people say to each other."""

from datetime import datetime

from sqlalchemy import Index, UniqueConstraint
from sqlmodel import Field, SQLModel

from codexsys_adapters.sql.tables.columns import identifier, integer, long_text, moment, table_of


class QuestionRow(SQLModel, table=True):
    """Questions of tasks; open until they have an answer."""

    __tablename__ = "questions"
    __table_args__ = (
        Index("ix_questions_task", "task_id", "asked_at"),
        Index("ix_questions_open", "answered_at", "deadline"),
    )

    id: str = Field(sa_column=identifier(key=True))
    task_id: str = Field(sa_column=identifier())
    attempt_id: str = Field(sa_column=identifier())
    text: str = Field(sa_column=long_text())
    options: str = Field(sa_column=long_text())
    default_answer: str | None = Field(sa_column=long_text(null=True))
    answer: str | None = Field(sa_column=long_text(null=True))
    answered_by: str | None = Field(sa_column=identifier(null=True))
    asked_at: datetime = Field(sa_column=moment())
    answered_at: datetime | None = Field(sa_column=moment(null=True))
    deadline: datetime = Field(sa_column=moment())


class MessageRow(SQLModel, table=True):
    """Notes of people to agents, numbered by their task; delivered_at: when the agent had it."""

    __tablename__ = "messages"
    __table_args__ = (UniqueConstraint("task_id", "number", name="uq_messages_number"),)

    id: str = Field(sa_column=identifier(key=True))
    task_id: str = Field(sa_column=identifier())
    number: int = Field(sa_column=integer())
    text: str = Field(sa_column=long_text())
    created_by: str = Field(sa_column=identifier())
    created_at: datetime = Field(sa_column=moment())
    delivered_at: datetime | None = Field(sa_column=moment(null=True))


QUESTIONS = table_of(QuestionRow)
MESSAGES = table_of(MessageRow)
