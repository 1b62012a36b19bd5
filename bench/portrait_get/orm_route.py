"""The usual route: FastAPI, an ORM session, `session.get`, a response model. No identity, no scope, no audit.

`python -m bench.portrait_get.orm_route PORT`, the database in BENCH_DSN. Parser and loop are those of the product.
"""

import os
import sys
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Annotated, Any

import uvicorn
from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.dialects.postgresql import ARRAY, JSONB
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import String

from services.portrait.schemas import AccountLine, CustomerForStaff


class Base(DeclarativeBase):
    pass


class Profile(Base):
    __tablename__ = "profile"
    __table_args__ = {"schema": "portrait"}  # noqa: RUF012  (as SQLAlchemy's documentation has it)
    customer_id: Mapped[str] = mapped_column(primary_key=True)
    version: Mapped[int]
    body: Mapped[dict[str, Any]] = mapped_column(JSONB)
    name: Mapped[str]
    key_account: Mapped[bool]
    classes: Mapped[list[str]] = mapped_column(ARRAY(String))
    attention_level: Mapped[int]
    cycle_factor: Mapped[Decimal]
    explanation: Mapped[dict[str, Any]] = mapped_column(JSONB)


app = FastAPI()
engine = create_async_engine(os.environ.get("BENCH_DSN", "postgresql+asyncpg://"), pool_size=16)
new_session = async_sessionmaker(engine, expire_on_commit=False)


async def session() -> AsyncIterator[AsyncSession]:
    async with new_session() as opened:
        yield opened


@app.get("/ready")
async def ready() -> dict[str, str]:
    return {"status": "ready"}


@app.get("/portrait/v1/customers/{customer_id}", response_model=CustomerForStaff)
async def customer(customer_id: str, db: Annotated[AsyncSession, Depends(session)]) -> CustomerForStaff:
    profile = await db.get(Profile, customer_id)
    if profile is None:
        raise HTTPException(404)
    return CustomerForStaff(
        customer_id=customer_id,
        name=profile.name,
        accounts=[AccountLine(**{n: a[n] for n in AccountLine.model_fields}) for a in profile.body["accounts"]],
        score=None,
        key_account=profile.key_account,
        importance_grade=profile.body["importance_grade"],
        version=profile.version,
        classes=profile.classes,
        primary_class=profile.body["primary_class"],
        attention_level=profile.attention_level,
        attention_reasons=profile.body["attention_reasons"],
        cycle_factor=profile.cycle_factor,
        explanation=profile.explanation,
    )


if __name__ == "__main__":
    uvicorn.run(
        app, host="127.0.0.1", port=int(sys.argv[1]), http="httptools", loop="uvloop", access_log=False,
        log_level="warning",
    )  # fmt: skip
