"""At, below and above the borders at which a partition stops for poison."""

import pytest

from services.kernel.breaker import POISON_IN_A_ROW, POISON_SAMPLE, POISON_SHARE, Breaker
from services.kernel.records import Record

MOST = int(POISON_SHARE * POISON_SAMPLE)


def record(source: str = "head-end", partition: int = 0) -> Record:
    headers = {"ce_source": source}
    return Record(topic="t", partition=partition, offset=0, key=None, value=b"", headers=headers, timestamp_ms=0)


def test_fifty_in_a_row_stop_and_one_clean_record_between_them_begins_anew() -> None:
    breaker = Breaker()
    row = [breaker.note(record(f"s{n}"), poisonous=True) for n in range(POISON_IN_A_ROW - 1)]
    assert not any(row)
    breaker.note_clean([record("other")])
    assert not breaker.note(record("s1"), poisonous=True)
    rest = [breaker.note(record(f"r{n}"), poisonous=True) for n in range(POISON_IN_A_ROW - 1)]
    assert rest == [False] * (POISON_IN_A_ROW - 2) + [True]


@pytest.mark.parametrize("at_once", [True, False])
def test_more_than_a_fifth_of_the_last_thousand_of_a_source_stop(at_once: bool) -> None:
    breaker = Breaker()

    def clean(count: int) -> None:
        if at_once:
            breaker.note_clean([record() for _ in range(count)])
        else:
            for _ in range(count):
                assert not breaker.note(record(), poisonous=False)

    for _ in range(MOST):
        assert not breaker.note(record(), poisonous=True)
        clean(4)
    # 200 of the last 1,000, and the window moves on with each clean record that pushes a poisonous one out.
    assert breaker.note(record(), poisonous=True) is False
    clean(POISON_SAMPLE)
    assert not breaker.by_source


def test_poison_of_one_source_above_the_share_stops_whatever_others_send() -> None:
    breaker = Breaker()
    stopped = []
    for _ in range(MOST + 1):
        stopped.append(breaker.note(record("bad"), poisonous=True))
        breaker.note_clean([record("good")])
    assert stopped == [False] * MOST + [True]
