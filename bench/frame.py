"""What a benchmark is, and how its variants are run: interleaved, the first round dropped, equal before compared."""

import statistics
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Any

from bench.stack import Stack

Facts = Mapping[str, float | str]


@dataclass(frozen=True, kw_only=True)
class Size:
    """How much a run does. Each benchmark chooses its own smaller numbers for `quick`."""

    quick: bool
    rounds: int
    """Measured rounds; one more is run before them and dropped."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """One run of one variant.

    `work` counts the benchmark's unit. `digests` name what the run left behind ("whole", "sample", "rollups", ...):
    wherever two runs of a benchmark give the same name, the digests must be equal. `facts` are numbers worth
    showing beside the rate, with their unit in the name (`consumer_cpu_s`, `peak_rss_mb`, `p99_ms`).
    """

    work: float
    seconds: float
    digests: Mapping[str, str]
    facts: Facts = field(default_factory=dict)

    @property
    def rate(self) -> float:
        return self.work / self.seconds


@dataclass(frozen=True, kw_only=True)
class Variant:
    """One way to do the work. The first of a benchmark is the product; the others are what it is compared with.

    `target` is the ratio product / this one that the project wants; None where it is shown for honesty only.
    """

    name: str
    what: str
    run: Callable[[], Awaitable[Measured]]
    target: float | None = None


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """`open` prepares data and servers, yields the variants, and clears up; it is not part of the measured time."""

    name: str
    summary: str
    unit: str
    open: Callable[[Stack, Size], AbstractAsyncContextManager[Sequence[Variant]]]


Row = dict[str, Any]
Say = Callable[[str], None]


async def run(benchmark: Benchmark, *, stack: Stack, size: Size, say: Say) -> list[Row]:
    """One row for each variant that the product is compared with."""
    say(f"{benchmark.name}: {benchmark.summary}")
    begun = time.monotonic()
    async with benchmark.open(stack, size) as variants:
        say(
            f"  prepared in {time.monotonic() - begun:.1f} s; {size.rounds} rounds of {len(variants)}, one more dropped"
        )
        rounds = [r async for r in _rounds(benchmark, variants, size=size, say=say)]
    differing = disagreements(rounds)
    for words in differing:
        say(f"  NOT EQUAL: {words}; no ratio is given")
    product = variants[0]
    return [_row(benchmark, product, other, rounds[1:], equal=not differing) for other in variants[1:]]


async def _rounds(
    benchmark: Benchmark, variants: Sequence[Variant], *, size: Size, say: Say
) -> AsyncIterator[dict[str, Measured]]:
    """The dropped round and those that count; the variants take turns within each."""
    total, done, begun = (size.rounds + 1) * len(variants), 0, time.monotonic()
    for number in range(size.rounds + 1):
        found: dict[str, Measured] = {}
        for variant in variants:
            measured = found[variant.name] = await variant.run()
            done += 1
            left = (time.monotonic() - begun) / done * (total - done)
            label = f"round {number}" if number else "dropped"
            facts = "  ".join(f"{k}={_short(v)}" for k, v in measured.facts.items())
            say(
                f"  [{done:2d}/{total}, {left:3.0f} s left] {label:8s} {variant.name:26s}"
                f"{measured.rate:14,.0f} {benchmark.unit}/s  {facts}"
            )
        yield found


def disagreements(rounds: Sequence[Mapping[str, Measured]]) -> list[str]:
    """Digests of one name that differ, and variants that share no digest with another (nothing would be compared)."""
    seen: dict[str, dict[str, set[str]]] = {}
    for found in rounds:
        for variant, measured in found.items():
            for name, digest in measured.digests.items():
                seen.setdefault(name, {}).setdefault(digest, set()).add(variant)
    words = [
        f"{name}: "
        + " against ".join(f"{digest[:12]} of {', '.join(sorted(who))}" for digest, who in by_digest.items())
        for name, by_digest in seen.items()
        if len(by_digest) > 1
    ]
    shared = {v for by_digest in seen.values() for who in by_digest.values() if len(who) > 1 for v in who}
    alone = sorted({variant for found in rounds for variant in found} - shared)
    return words + [f"{variant} left nothing that another variant left too" for variant in alone]


def _row(
    benchmark: Benchmark, product: Variant, other: Variant, rounds: Sequence[Mapping[str, Measured]], *, equal: bool
) -> Row:
    ratios = [found[product.name].rate / found[other.name].rate for found in rounds]
    row: Row = {
        "name": benchmark.name,
        "against": other.name,
        "ratio": _rounded(statistics.median(ratios)) if equal else None,
        "ratio_range": [_rounded(min(ratios)), _rounded(max(ratios))] if equal else None,
        "target": other.target,
        "results_equal": equal,
        "rounds": len(rounds),
        "unit": f"{benchmark.unit}/s",
        "what": {product.name: product.what, other.name: other.what},
    }
    if equal:
        row["measured"] = {v.name: _summary([found[v.name] for found in rounds]) for v in (product, other)}
        row["digests"] = dict(rounds[0][other.name].digests)
    return row


def _summary(runs: Sequence[Measured]) -> Row:
    """Median and range of the rate, the medians of the numeric facts."""
    rates = [m.rate for m in runs]
    facts: Row = {}
    for name, value in runs[-1].facts.items():
        facts[name] = value if isinstance(value, str) else _rounded(statistics.median(_number(m, name) for m in runs))
    return {
        "rate": _rounded(statistics.median(rates)),
        "rate_range": [_rounded(min(rates)), _rounded(max(rates))],
        "work": runs[-1].work,
        "seconds": _rounded(statistics.median(m.seconds for m in runs)),
        **facts,
    }


def _number(measured: Measured, name: str) -> float:
    value = measured.facts[name]
    assert not isinstance(value, str), f"{name} is a number in one run and a text in another"
    return value


def _rounded(value: float) -> float:
    return float(f"{value:.4g}") if abs(value) < 10_000 else float(round(value))


def _short(value: float | str) -> str:
    return value if isinstance(value, str) else f"{value:,.4g}"
