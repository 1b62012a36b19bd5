"""What the product is compared with: the same scores from a row per customer and day, by SQL and by an ORM loop.

The rows are generous to the baselines: the energy of each tariff period of the day is there already, and one row of
terms per customer says what was agreed.
"""

from itertools import pairwise
from typing import Any

import numpy as np

from bench.scoring.copy_rows import copy_rows, numbers, texts
from bench.scoring.generated import SLOTS, Block, BlockMonth
from services.portrait.reference_data import shipped
from services.portrait.rules.day_block import MISSING
from services.portrait.rules.score_schemes import SchemeDocument, scheme_document_from
from services.portrait.rules.shift_pattern import SHIFTS
from services.portrait.rules.time_of_use import PEAK, VALLEY, plan_from

DAY_COLUMNS = (
    "customer_id", "month", "day", "total_wh", "maximum_wh", "minimum_wh", "present", "valley_wh", "peak_wh",
    "lagging_varh", "leading_varh",
)  # fmt: skip
SCHEMA = """
CREATE SCHEMA IF NOT EXISTS baseline;
CREATE UNLOGGED TABLE baseline.day_row (
  customer_id text, month date, day date, total_wh bigint, maximum_wh bigint, minimum_wh bigint, present integer,
  valley_wh bigint, peak_wh bigint, lagging_varh bigint, leading_varh bigint);
CREATE TABLE baseline.score (customer_id text, month date, score float8, band text, not_scored_because text,
  load_factor float8, peak_valley_diff_rate float8, valley_share float8, peak_share float8, power_factor float8,
  transformer_utilization float8, kwh_per_kva float8, demand_ratio float8, demand_cv float8,
  PRIMARY KEY (customer_id, month));
GRANT USAGE ON SCHEMA baseline TO portrait_worker;
GRANT ALL ON ALL TABLES IN SCHEMA baseline TO portrait_worker;
"""
AFTER_LOADING = """
ALTER TABLE baseline.day_row ADD PRIMARY KEY (customer_id, day);
CREATE TABLE baseline.terms AS SELECT t.customer_id, left(t.industry_class, 1) AS section,
  t.contract_capacity_kva::float8 AS contract_kva, t.operating_capacity_kva::float8 AS operating_kva,
  coalesce(t.contract_demand_kw, 0)::float8 AS contract_demand_kw, s.shift
FROM portrait.account_terms t JOIN portrait.customer_shift s USING (customer_id);
ALTER TABLE baseline.terms ADD PRIMARY KEY (customer_id);
GRANT ALL ON ALL TABLES IN SCHEMA baseline TO portrait_worker;
"""
_EPOCH_2000 = np.datetime64("2000-01-01")


def day_rows(who: Block, month: BlockMonth) -> bytes:
    """The rows of a block's month for COPY in binary form."""
    customers, days, _ = month.energy_wh.shape
    present = month.energy_wh != MISSING
    known = np.where(present, month.energy_wh, 0)
    periods = plan_from(shipped("tou_chongqing_2021_14")).month_slots(month=month.month, step_minutes=1440 // SLOTS)
    first = int((np.datetime64(month.month) - _EPOCH_2000).astype(int))
    day = np.tile(np.arange(first, first + days), customers)
    empty = ~present.any(axis=2).reshape(-1)
    shares = [known[:, :, np.isin(periods, list(wanted))].sum(axis=2) for wanted in (VALLEY, PEAK)]
    columns: list[Any] = [
        numbers(known.sum(axis=2).reshape(-1), ">i8"),
        numbers(month.energy_wh.max(axis=2).reshape(-1), ">i8").null_where(empty),
        numbers(np.where(present, month.energy_wh, -MISSING).min(axis=2).reshape(-1), ">i8").null_where(empty),
        numbers(present.sum(axis=2).reshape(-1), ">i4"),
        *[numbers(share.reshape(-1), ">i8") for share in shares],
        *[
            numbers(channel.reshape(-1), ">i8").null_where(np.repeat(~month.reactive, days))
            for channel in (month.lagging_varh, month.leading_varh)
        ],
    ]
    return copy_rows(
        [
            texts(who.customer_ids(), np.repeat(np.arange(customers), days)),
            numbers(np.full(customers * days, first), ">i4"),
            numbers(day, ">i4"),
            *columns,
        ]
    )


def statement(*, into: str) -> str:
    """One SQL statement that scores every customer and month; `into` is an INSERT or a CREATE TABLE ... AS."""
    document = scheme_document_from(shipped("score_scheme_demo"))
    codes = [i.code for i in document.schemes[0].indicators]
    points = ",\n".join(f"{_points(document, code)} AS p_{code}" for code in codes)
    weights = ",\n".join(
        f"CASE WHEN {code} IS NOT NULL THEN {_weight(document, code)} END AS w_{code}" for code in codes
    )
    whole, share = document.schemes[0].minimum_completeness, document.schemes[0].minimum_weight
    weight = " + ".join(f"coalesce(w_{code}, 0)" for code in codes)
    total = " + ".join(f"coalesce(w_{code} / weight * p_{code}, 0)" for code in codes)
    return f"""{into}
WITH m AS (
  SELECT customer_id, month, sum(total_wh)::float8 AS total, max(maximum_wh)::float8 AS maximum,
    sum(present) AS present, count(*) AS days, sum(valley_wh)::float8 AS valley, sum(peak_wh)::float8 AS peak,
    (sum(lagging_varh) + sum(leading_varh))::float8 AS reactive,
    count(*) FILTER (WHERE present = 96 AND maximum_wh > 0) AS running,
    sum((maximum_wh - minimum_wh)::float8 / maximum_wh) FILTER (WHERE present = 96 AND maximum_wh > 0) AS rates
  FROM baseline.day_row GROUP BY customer_id, month),
w AS (
  SELECT m.*, t.section, t.shift, nullif(t.contract_kva, 0) AS contract_kva,
    nullif(t.operating_kva, 0) AS operating_kva, nullif(t.contract_demand_kw, 0) AS contract_demand_kw,
    maximum * 60 / 15 / 1000 AS maximum_kw, CASE WHEN total > 0
      THEN floor((floor(200 * total / sqrt(total * total + reactive * reactive)) + 1) / 2) / 100 END AS power_factor,
    count(maximum) OVER y AS maxima, avg(maximum * 60 / 15 / 1000) OVER y AS mean_kw,
    stddev_pop(maximum * 60 / 15 / 1000) OVER y AS deviation_kw
  FROM m JOIN baseline.terms t USING (customer_id)
  WINDOW y AS (PARTITION BY customer_id ORDER BY month ROWS BETWEEN 11 PRECEDING AND CURRENT ROW)),
v AS (
  SELECT customer_id, month, section, shift, present::float8 / (days * 96) AS completeness,
    total / nullif(present, 0) / nullif(maximum, 0) AS load_factor, rates / nullif(running, 0) AS peak_valley_diff_rate,
    valley / nullif(total, 0) AS valley_share, peak / nullif(total, 0) AS peak_share, power_factor,
    maximum_kw / (operating_kva * nullif(power_factor, 0)) AS transformer_utilization,
    total / 1000 / contract_kva AS kwh_per_kva,
    maximum_kw / contract_demand_kw AS demand_ratio,
    CASE WHEN maxima = 12 THEN deviation_kw / nullif(mean_kw, 0) END AS demand_cv
  FROM w),
p AS (SELECT *, {points},
{weights} FROM v),
s AS (SELECT *, {weight} AS weight FROM p),
r AS (SELECT *, CASE WHEN completeness = 0 THEN 'no-data' WHEN completeness < {whole} THEN 'incomplete-data'
    WHEN weight / 100 < {share} THEN 'too-few-indicators' END AS refused FROM s),
f AS (SELECT *, CASE WHEN refused IS NULL THEN floor(({total}) * 100 + 0.5 + 1e-7) / 100 END AS score FROM r)
SELECT customer_id, month, score, CASE WHEN score >= 90 THEN 'A' WHEN score >= 80 THEN 'B' WHEN score >= 70 THEN 'C'
  WHEN score >= 60 THEN 'D' WHEN score IS NOT NULL THEN 'E' END AS band, refused AS not_scored_because,
  {", ".join(codes)} FROM f"""


def _points(document: SchemeDocument, code: str) -> str:
    by_shift = {
        shift: next(i.points for s in document.schemes if s.shift == shift for i in s.indicators if i.code == code)
        for shift in SHIFTS
    }
    if len(set(by_shift.values())) == 1:
        return _piecewise(code, by_shift[SHIFTS[0]])
    cases = " ".join(f"WHEN '{shift}' THEN {_piecewise(code, points)}" for shift, points in by_shift.items())
    return f"CASE shift {cases} END"


def _piecewise(code: str, points: tuple[tuple[float, float], ...]) -> str:
    cases = [f"WHEN {code} <= {_f(points[0][0])} THEN {_f(points[0][1])}"]
    for (x0, y0), (x1, y1) in pairwise(points):
        line = f"{_f(y0)} + ({_f(y1)} - {_f(y0)}) * ({code} - {_f(x0)}) / ({_f(x1)} - {_f(x0)})"
        cases.append(f"WHEN {code} <= {_f(x1)} THEN {line}")
    cases.append(f"WHEN {code} IS NOT NULL THEN {_f(points[-1][1])}")
    return f"CASE {' '.join(cases)} END"


def _f(number: float) -> str:
    return f"'{number!r}'::float8"


def _weight(document: SchemeDocument, code: str) -> str:
    def of(industry: str) -> str:
        scheme = document.scheme_for(industry=industry, shift="two")
        assert scheme is not None
        return _f(next(i.weight for i in scheme.indicators if i.code == code))

    return f"CASE WHEN section = 'C' THEN {of('C')} ELSE {of('')} END"
