"""What one would write instead, as the documentation of FastAPI, SQLModel and aiokafka shows it.

No keys, no tenants, no attempts, no events: one row, one record. Durability is the same as ours:
the row is committed and all replicas have the record before the answer.
"""

import json
import os
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Annotated, Any

from aiokafka import AIOKafkaProducer
from fastapi import Depends, FastAPI, HTTPException, Request
from sqlalchemy.ext.asyncio import create_async_engine
from sqlmodel import Field, SQLModel
from sqlmodel.ext.asyncio.session import AsyncSession

engine = create_async_engine(os.environ["PLAIN_DATABASE_URL"], pool_size=10, max_overflow=10)


class TaskBase(SQLModel):
    prompt: str = Field(max_length=4000)
    git_url: str = Field(max_length=2048)
    git_ref: str | None = Field(default=None, max_length=255)
    mode: str = Field(default="modify", max_length=16)


class Task(TaskBase, table=True):
    __tablename__ = "plain_tasks"

    id: str = Field(default_factory=lambda: uuid.uuid4().hex, primary_key=True, max_length=32)
    status: str = Field(default="queued", max_length=16)
    created_at: datetime = Field(default_factory=lambda: datetime.now(UTC))


class TaskCreate(TaskBase):
    pass


class TaskPublic(TaskBase):
    id: str
    status: str
    created_at: datetime


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    async with engine.begin() as connection:
        await connection.run_sync(SQLModel.metadata.create_all)
    producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["PLAIN_KAFKA"],
        acks="all",
        enable_idempotence=True,
        value_serializer=lambda value: json.dumps(value).encode(),
    )
    await producer.start()
    app.state.producer = producer
    yield
    await producer.stop()
    await engine.dispose()


app = FastAPI(lifespan=lifespan)


async def get_session() -> AsyncIterator[AsyncSession]:
    async with AsyncSession(engine) as session:
        yield session


def get_producer(request: Request) -> Any:
    return request.app.state.producer


SessionDep = Annotated[AsyncSession, Depends(get_session)]
ProducerDep = Annotated[Any, Depends(get_producer)]


@app.post("/tasks", response_model=TaskPublic, status_code=202)
async def create_task(task: TaskCreate, session: SessionDep, producer: ProducerDep) -> Task:
    row = Task.model_validate(task)
    session.add(row)
    await session.commit()
    await session.refresh(row)
    record = {"task_id": row.id, "git_url": row.git_url, "mode": row.mode}
    await producer.send_and_wait(os.environ["PLAIN_TOPIC"], record, key=row.id.encode())
    return row


@app.get("/tasks/{task_id}", response_model=TaskPublic)
async def read_task(task_id: str, session: SessionDep) -> Task:
    row = await session.get(Task, task_id)
    if not row:
        raise HTTPException(status_code=404, detail="Task not found")
    return row
