"""The idiom: SQLAlchemy models, one customer after the other, its days as objects, its scores added and committed."""

from datetime import date
from itertools import groupby
from math import sqrt

from sqlalchemy import BigInteger, Date, Float, Integer, String, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from services.portrait.reference_data import shipped
from services.portrait.rules.efficiency_score import ScoreScheme, efficiency_score
from services.portrait.rules.measured import Measured
from services.portrait.rules.month_indicators import SCORED
from services.portrait.rules.score_schemes import scheme_document_from
from services.portrait.rules.shift_pattern import Shift


class Base(DeclarativeBase):
    pass


class DayRow(Base):
    __tablename__ = "day_row"
    __table_args__ = {"schema": "baseline"}  # noqa: RUF012  (SQLAlchemy's own form)
    customer_id: Mapped[str] = mapped_column(String, primary_key=True)
    day: Mapped[date] = mapped_column(Date, primary_key=True)
    month: Mapped[date] = mapped_column(Date)
    total_wh: Mapped[int] = mapped_column(BigInteger)
    maximum_wh: Mapped[int | None] = mapped_column(BigInteger)
    minimum_wh: Mapped[int | None] = mapped_column(BigInteger)
    present: Mapped[int] = mapped_column(Integer)
    valley_wh: Mapped[int] = mapped_column(BigInteger)
    peak_wh: Mapped[int] = mapped_column(BigInteger)
    lagging_varh: Mapped[int | None] = mapped_column(BigInteger)
    leading_varh: Mapped[int | None] = mapped_column(BigInteger)


class Terms(Base):
    __tablename__ = "terms"
    __table_args__ = {"schema": "baseline"}  # noqa: RUF012
    customer_id: Mapped[str] = mapped_column(String, primary_key=True)
    section: Mapped[str] = mapped_column(String)
    contract_kva: Mapped[float] = mapped_column(Float)
    operating_kva: Mapped[float] = mapped_column(Float)
    contract_demand_kw: Mapped[float] = mapped_column(Float)
    shift: Mapped[str] = mapped_column(String)


class MonthScore(Base):
    __tablename__ = "score"
    __table_args__ = {"schema": "baseline"}  # noqa: RUF012
    customer_id: Mapped[str] = mapped_column(String, primary_key=True)
    month: Mapped[date] = mapped_column(Date, primary_key=True)
    score: Mapped[float | None] = mapped_column(Float)
    band: Mapped[str | None] = mapped_column(String)
    not_scored_because: Mapped[str | None] = mapped_column(String)
    load_factor: Mapped[float | None] = mapped_column(Float)
    peak_valley_diff_rate: Mapped[float | None] = mapped_column(Float)
    valley_share: Mapped[float | None] = mapped_column(Float)
    peak_share: Mapped[float | None] = mapped_column(Float)
    power_factor: Mapped[float | None] = mapped_column(Float)
    transformer_utilization: Mapped[float | None] = mapped_column(Float)
    kwh_per_kva: Mapped[float | None] = mapped_column(Float)
    demand_ratio: Mapped[float | None] = mapped_column(Float)
    demand_cv: Mapped[float | None] = mapped_column(Float)


async def score_customers(url: str, customer_ids: list[str]) -> None:
    """One transaction per customer."""
    engine = create_async_engine(url)
    document = scheme_document_from(shipped("score_scheme_demo"))
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    try:
        for customer_id in customer_ids:
            async with sessions() as session:
                terms = await session.get_one(Terms, customer_id)
                shift: Shift = terms.shift  # type: ignore[assignment]
                scheme = document.scheme_for(industry=terms.section, shift=shift)
                assert scheme is not None
                await _score(session, terms, scheme)
                await session.commit()
    finally:
        await engine.dispose()


async def _score(session: AsyncSession, terms: Terms, scheme: ScoreScheme) -> None:
    query = select(DayRow).where(DayRow.customer_id == terms.customer_id).order_by(DayRow.day)
    maxima: list[float | None] = []
    for month, rows in groupby(await session.scalars(query), key=lambda row: row.month):
        days = list(rows)
        values = _values(days, terms, maxima)
        present = sum(d.present for d in days)
        whole = Measured(present / (len(days) * 96)) if present else Measured.missing("no-data")
        result = efficiency_score(
            values={code: Measured(v) if v is not None else Measured.missing("no-data") for code, v in values.items()},
            completeness=whole,
            scheme=scheme,
        )
        session.add(
            MonthScore(
                customer_id=terms.customer_id, month=month, score=result.score, band=result.band,
                not_scored_because=result.not_scored_because, **values,
            )
        )  # fmt: skip


def _values(days: list[DayRow], terms: Terms, maxima: list[float | None]) -> dict[str, float | None]:
    """By code; None where there is none. Appends the month's maximum to `maxima`."""
    total, present = sum(d.total_wh for d in days), sum(d.present for d in days)
    highest = max((d.maximum_wh for d in days if d.maximum_wh is not None), default=None)
    maximum_kw = highest * 60 / 15 / 1000 if highest is not None else None
    maxima.append(maximum_kw)
    rates = [
        (d.maximum_wh - d.minimum_wh) / d.maximum_wh
        for d in days
        if d.present == 96 and d.maximum_wh is not None and d.minimum_wh is not None and d.maximum_wh > 0
    ]
    factor = None
    if days[0].lagging_varh is not None and total > 0:
        reactive = sum((d.lagging_varh or 0) + (d.leading_varh or 0) for d in days)
        factor = int((int(200 * total / sqrt(total * total + reactive * reactive)) + 1) / 2) / 100
    known = [kw for kw in maxima[-12:] if kw is not None]
    cv = None
    if len(known) == 12 and sum(known) > 0:
        mean = sum(known) / 12
        cv = sqrt(sum((kw - mean) ** 2 for kw in known) / 12) / mean
    capacity = terms.operating_kva * factor if factor else None
    found = {
        "load_factor": total / present / highest if present and highest and highest > 0 else None,
        "peak_valley_diff_rate": sum(rates) / len(rates) if rates else None,
        "valley_share": sum(d.valley_wh for d in days) / total if total > 0 else None,
        "peak_share": sum(d.peak_wh for d in days) / total if total > 0 else None,
        "power_factor": factor,
        "transformer_utilization": maximum_kw / capacity if capacity and maximum_kw is not None else None,
        "kwh_per_kva": total / 1000 / terms.contract_kva if terms.contract_kva else None,
        "demand_ratio": maximum_kw / terms.contract_demand_kw if terms.contract_demand_kw and maximum_kw else None,
        "demand_cv": cv,
    }
    assert tuple(found) == SCORED
    return found
