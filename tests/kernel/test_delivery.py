"""At least once in transport, exactly once in effect: seen on real topics and tables."""

from datetime import UTC, datetime
from uuid import uuid4

from services.contracts.notify import AccessGrant, EngagementsChanged, PostAssigned
from tests.kernel.echo import Answered, Counted, Said, Stated
from tests.kernel.house import EchoHouse, headers

SINCE = datetime(2020, 1, 1, tzinfo=UTC)
HEARD = "SELECT words FROM echo.heard ORDER BY words"
LETTERS = "SELECT reason, body, status, topic FROM echo.dead_letter ORDER BY created_at"


async def test_an_event_told_three_times_has_one_effect_and_one_answer(echo: EchoHouse) -> None:
    same = headers(Said.TYPE, event_id="one")
    event = Said(customer_id="C1", words="hello")
    await echo.send((event, same), (event, same), Said(customer_id="C1", words="world"), (event, same))
    await echo.until(HEARD, lambda rows: [r["words"] for r in rows] == ["hello", "world"])
    await echo.until("SELECT 1 FROM echo.outbox WHERE published_at IS NULL", lambda rows: not rows)
    answers = await echo.said_on(Answered.TOPIC)
    assert [a["value"]["words"] for a in answers] == ["hello", "world"]
    assert answers[0]["headers"]["ce_source"] == b"keyline/echo"
    assert answers[0]["headers"]["ce_causeid"] == b"one"


async def test_the_same_id_with_another_body_is_kept_as_a_dead_letter(echo: EchoHouse) -> None:
    same = headers(Said.TYPE, event_id="twice")
    other = Said(customer_id="C1", words="something else")
    await echo.send((Said(customer_id="C1", words="first"), same), (other, same), Said(customer_id="C1", words="next"))
    await echo.until(HEARD, lambda rows: [r["words"] for r in rows] == ["first", "next"])
    [letter] = await echo.until(LETTERS, lambda rows: len(rows) == 1)
    assert (letter["reason"], letter["body"]) == ("id-conflict", other.to_wire())


async def test_an_event_waits_for_its_reference_and_is_applied_when_that_arrives(echo: EchoHouse) -> None:
    await echo.send(Said(customer_id="C1", words="about S1", about="S1"))
    await echo.until("SELECT reference_id FROM echo.waiting", lambda rows: [r[0] for r in rows] == ["S1"])
    assert await echo.rows(HEARD) == []
    await echo.send(Stated(subject_id="S1", version=1, words="here"))
    await echo.until(HEARD, lambda rows: [r["words"] for r in rows] == ["about S1"], seconds=10)
    assert await echo.rows("SELECT 1 FROM echo.waiting") == []


async def test_of_a_state_only_the_newest_version_counts_and_null_deletes_it(echo: EchoHouse) -> None:
    await echo.send(
        Stated(subject_id="S1", version=3, words="third"),
        Stated(subject_id="S1", version=2, words="second, late"),
        Stated(subject_id="S2", version=1, words="other"),
    )
    state = "SELECT subject_id, words FROM echo.stated ORDER BY 1"
    await echo.until(state, lambda rows: [tuple(r) for r in rows] == [("S1", "third"), ("S2", "other")])
    await echo.send_raw(Stated.TOPIC, None, key=b"S1", header=headers(Stated.TYPE))
    await echo.until(state, lambda rows: [r["subject_id"] for r in rows] == ["S2"])


async def test_a_deletion_told_again_does_not_take_what_came_back(echo: EchoHouse) -> None:
    gone = headers(Stated.TYPE, event_id="gone")
    await echo.send(Stated(subject_id="S1", version=1, words="first"))
    await echo.send_raw(Stated.TOPIC, None, key=b"S1", header=gone)
    await echo.send(Stated(subject_id="S1", version=2, words="back"))
    await echo.send_raw(Stated.TOPIC, None, key=b"S1", header=gone)
    await echo.send_raw(Stated.TOPIC, b"{", key=b"S1", header=headers(Stated.TYPE))
    await echo.until(LETTERS, lambda rows: len(rows) == 1)
    assert [r["words"] for r in await echo.rows("SELECT words FROM echo.stated")] == ["back"]


async def test_two_kinds_of_aggregates_share_a_topic_and_an_id_and_are_deleted_apart(echo: EchoHouse) -> None:
    grant = AccessGrant(person_id="X1", role="listener", scope_kind="everything", scope_id="", valid_from=SINCE)
    await echo.send(
        PostAssigned(post_id="X1", version=1, grants=(grant,)), EngagementsChanged(person_id="X1", version=1, grants=())
    )
    await echo.send(EngagementsChanged(person_id="X1", version=2, grants=(grant,)))
    origins = "SELECT DISTINCT origin FROM echo.access_grant ORDER BY 1"
    await echo.until(origins, lambda rows: [r[0] for r in rows] == ["person:X1", "post:X1"])
    keys = [record["key"] for record in await echo.said_on(PostAssigned.TOPIC)]
    assert sorted(set(keys)) == [b"person:X1", b"post:X1"], "compaction would keep one of two kinds"
    await echo.send_raw(PostAssigned.TOPIC, None, key=b"post:X1", header=headers(""))
    await echo.until(origins, lambda rows: [r[0] for r in rows] == ["person:X1"])
    await echo.send_raw(PostAssigned.TOPIC, None, key=b"X1", header=headers(PostAssigned.TYPE))
    await echo.send_raw(PostAssigned.TOPIC, None, key=b"person:X1", header=headers(PostAssigned.TYPE))
    letters = await echo.until(LETTERS, lambda rows: len(rows) == 2)
    assert {r["reason"] for r in letters} == {"foreign-key"}
    assert [r[0] for r in await echo.rows(origins)] == ["person:X1"]


POISON = [
    (b"", "undecodable"),
    (b"{", "undecodable"),
    (b"\xef\xbb\xbf{}", "breaks-contract"),
    (b'{"customer_id": "C1", "words": "a", "words": "b"}', "undecodable"),
    (b"[" * 3000, "undecodable"),
    (b'{"customer_id": "C1"}', "breaks-contract"),
    (b'{"customer_id": "C1", "words": 5}', "breaks-contract"),
    (b'{"customer_id": "C1", "words": "a\\u0000b"}', "breaks-contract"),
    (b'{"customer_id": "C2", "words": "other key"}', "foreign-key"),
]


async def test_poison_is_kept_byte_for_byte_and_its_neighbours_go_on(echo: EchoHouse) -> None:
    for number, (body, _) in enumerate(POISON):
        await echo.send(Said(customer_id="C1", words=f"{number} before"))
        await echo.send_raw(Said.TOPIC, body, key=b"C1", header=headers(Said.TYPE))
        await echo.send(Said(customer_id="C1", words=f"{number} after"))
    neighbours = [f"{number} {words}" for number in range(len(POISON)) for words in ("after", "before")]
    await echo.until(HEARD, lambda rows: [r["words"] for r in rows] == neighbours)
    letters = await echo.until(LETTERS, lambda rows: len(rows) == len(POISON))
    kept = sorted((r["body"], r["reason"], r["topic"]) for r in letters)
    assert kept == sorted((*pair, Said.TOPIC) for pair in POISON)


async def test_a_handler_that_fails_always_ends_as_a_dead_letter_and_can_be_skipped(echo: EchoHouse) -> None:
    await echo.send(Said(customer_id="C1", words="boom"), Said(customer_id="C1", words="fine"))
    await echo.until(HEARD, lambda rows: [r["words"] for r in rows] == ["fine"], seconds=40)
    [letter] = await echo.until(LETTERS, lambda rows: len(rows) == 1)
    assert letter["reason"] == "handler-failed"


async def test_of_a_failing_batch_only_the_guilty_record_is_rejected(echo: EchoHouse) -> None:
    counts = [Counted(count_id=f"n{n}", n=n) for n in range(40)]
    await echo.send(*counts)
    await echo.send_raw(Counted.TOPIC, b"not json", key=b"x", header=headers(Counted.TYPE))
    await echo.send(Counted(count_id="last", n=99))
    await echo.until("SELECT n FROM echo.counted", lambda rows: {r["n"] for r in rows} == {*range(40), 99} - {13})
    letters = await echo.until(LETTERS, lambda rows: len(rows) == 2)
    assert {r["reason"] for r in letters} == {"handler-failed", "breaks-contract"}


async def test_fifty_poisonous_records_in_a_row_stop_the_partition_and_the_service_says_so(echo: EchoHouse) -> None:
    async with echo.producer() as producer:
        for _ in range(60):
            event = [(k, v.encode()) for k, v in headers(Said.TYPE, event_id=uuid4().hex).items()]
            await producer.send_and_wait(f"{echo.name}-{Said.TOPIC}", value=b"{", key=b"C1", headers=event)
    await echo.until("SELECT count(*) FROM echo.dead_letter", lambda rows: rows[0][0] == 50)
    status, body = await echo.call("GET", "/readyz")
    assert status == 503
    assert "stopped for poison" in body["reasons"]["echo"]
    assert await echo.rows("SELECT count(*) FROM echo.dead_letter") == [(50,)]
