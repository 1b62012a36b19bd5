"""Benchmarks take turns, drop their first round, and give no ratio where results differ."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bench.frame import Benchmark, Measured, Size, Variant, run
from bench.stack import Stack


def benchmark(calls: list[str], *, digests: dict[str, list[dict[str, str]]]) -> Benchmark:
    """Every run does 100 units; the product's seconds are 9, 1, 2, 1, the other's always 10."""
    seconds = {"product": iter([9.0, 1.0, 2.0, 1.0]), "other": iter([10.0] * 4)}

    def variant(name: str) -> Variant:
        async def once() -> Measured:
            calls.append(name)
            left = digests[name]
            return Measured(work=100, seconds=next(seconds[name]), digests=left[0] if len(left) == 1 else left.pop(0))

        return Variant(name=name, what=name, run=once, target=5)

    @asynccontextmanager
    async def opened(stack: Stack, size: Size) -> AsyncIterator[Sequence[Variant]]:
        yield [variant("product"), variant("other")]

    return Benchmark(name="x-y", summary="x", unit="units", open=opened)


async def rows(digests: dict[str, list[dict[str, str]]]) -> tuple[list[str], dict[str, object]]:
    calls: list[str] = []
    with Stack() as stack:  # nothing is started before it is asked for
        size = Size(quick=False, rounds=3)
        (row,) = await run(benchmark(calls, digests=digests), stack=stack, size=size, say=lambda _: None)
    return calls, row


async def test_variants_take_turns_and_the_first_round_is_dropped() -> None:
    calls, row = await rows({"product": [{"all": "a", "own": "p"}], "other": [{"all": "a"}]})
    assert calls == ["product", "other"] * 4
    assert (row["ratio"], row["ratio_range"], row["results_equal"], row["rounds"]) == (10, [5, 10], True, 3)


async def test_differing_results_give_no_ratio() -> None:
    _, row = await rows({"product": [{"all": "a"}], "other": [{"all": "b"}]})
    assert (row["ratio"], row["results_equal"]) == (None, False)
    assert "measured" not in row


async def test_a_single_round_that_differs_gives_no_ratio() -> None:
    product = [{"all": "a"}, {"all": "a"}, {"all": "changed"}, {"all": "a"}]
    _, row = await rows({"product": product, "other": [{"all": "a"}]})
    assert (row["ratio"], row["results_equal"]) == (None, False)


async def test_a_variant_that_shares_no_digest_was_not_compared() -> None:
    _, row = await rows({"product": [{"whole": "a"}], "other": [{"sample": "a"}]})
    assert (row["ratio"], row["results_equal"]) == (None, False)
