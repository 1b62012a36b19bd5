"""Facts with different keys share a transaction; whatever is wrong with one is its own affair."""

import pytest

from services.kernel.broker import Record
from services.kernel.together import runs
from tests.kernel.echo import SERVICE, Answered, Said, Stated
from tests.kernel.house import EchoHouse, headers

HEARD = "SELECT words FROM echo.heard ORDER BY words"
WORDS = [f"word {n:02d}" for n in range(20)]


def record(type_: str, key: str, *, value: bytes | None = b"{}", topic: str = "echo-said") -> Record:
    return Record(
        topic=topic, partition=0, offset=0, key=key.encode(), value=value, headers={"ce_type": type_}, timestamp_ms=0
    )


def test_only_neighbours_with_different_keys_of_a_type_that_allows_it_are_handled_together() -> None:
    contracts = {c.event.TYPE: c for c in SERVICE.consumes}
    said, stated = Said.TYPE, Stated.TYPE
    batch = [
        record(said, "a"), record(said, "b"), record(said, "a"), record(said, "c"), record(stated, "s"),
        record(stated, "t"), record(said, "a"), record(said, "d", value=None), record(said, "e"),
        record(said, "f", value=b"x" * 300_000), record(said, "g"), record("unknown", "h"), record("unknown", "i"),
    ]  # fmt: skip
    keys = [[(r.key or b"").decode() for r in run] for run in runs(batch, contracts)]
    assert keys == [["a", "b"], ["a", "c"], ["s"], ["t"], ["a"], ["d"], ["e"], ["f"], ["g"], ["h"], ["i"]]
    many = [record(said, str(n)) for n in range(250)]
    assert [len(run) for run in runs(many, contracts)] == [100, 100, 50]


async def _with_topics(idle: EchoHouse) -> None:
    """The service has run once, so that its topics are there and what is sent now comes in one poll."""
    child = idle.start()
    child.wait_ready()
    await idle.send(Said(customer_id="C-first", words="0 first"))
    await idle.until(HEARD, lambda rows: len(rows) == 1)
    child.stop()


@pytest.mark.parametrize("point", ["after-inbox", "before-commit", "after-commit"])
async def test_what_is_handled_together_survives_a_death_and_has_its_effect_once(idle: EchoHouse, point: str) -> None:
    await _with_topics(idle)
    events = [(Said(customer_id=f"C{n}", words=w), headers(Said.TYPE, event_id=f"e{n}")) for n, w in enumerate(WORDS)]
    await idle.send(*events, events[3])
    child = idle.start(KEYLINE_FAULT=f"{point}:1")
    child.wait_until(ready=lambda: not child.alive, timeout_s=40)
    assert child.returncode == 137
    idle.start().wait_ready()
    await idle.until(HEARD, lambda rows: [r["words"] for r in rows] == ["0 first", *WORDS])
    await idle.until("SELECT 1 FROM echo.outbox WHERE published_at IS NULL", lambda rows: not rows)
    answers = {a["value"]["words"]: a["headers"]["ce_causeid"] for a in await idle.said_on(Answered.TOPIC)}
    assert {w: f"e{n}".encode() for n, w in enumerate(WORDS)}.items() <= answers.items()
    shared = await idle.rows("SELECT rows FROM echo.audit WHERE action = 'heard-together'")
    assert shared and all(row["rows"] > 1 for row in shared), "nothing was handled together"


async def test_poison_a_mistake_and_a_missing_reference_among_neighbours_stay_alone(idle: EchoHouse) -> None:
    await _with_topics(idle)
    await idle.send(*[Said(customer_id=f"C{n}", words=w) for n, w in enumerate(WORDS[:5])])
    await idle.send_raw(Said.TOPIC, b"{not json", key=b"C5", header=headers(Said.TYPE))
    await idle.send(
        Said(customer_id="C6", words="boom"), Said(customer_id="C7", words="waits", about="S1"),
        *[Said(customer_id=f"D{n}", words=w) for n, w in enumerate(WORDS[5:])],
    )  # fmt: skip
    idle.start().wait_ready()
    await idle.until(HEARD, lambda rows: [r["words"] for r in rows] == ["0 first", *WORDS])
    await idle.until(
        "SELECT reason FROM echo.dead_letter ORDER BY reason",
        lambda rows: [r["reason"] for r in rows] == ["handler-failed", "undecodable"],
    )
    await idle.until("SELECT reference_id FROM echo.waiting", lambda rows: [r[0] for r in rows] == ["S1"])
