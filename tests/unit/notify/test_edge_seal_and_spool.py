"""Envelopes between the zones and the spool on disk: each refusal, each border, each kill."""

from pathlib import Path

import pytest

from services.notify.edge.seal import MAX_AGE_S, Keys, SealRefused, Verifier, sealed
from services.notify.edge.spool import Spool

OLD, NEW = b"o" * 32, b"n" * 32
NOW = 1_760_000_000.0


def test_an_envelope_is_taken_once_for_its_place_and_body_alone() -> None:
    keys = Keys(secrets={"k1": OLD})
    seal = sealed(keys, purpose="/exchange", body=b"{}", now_s=NOW)
    for purpose, body in (("/send", b"{}"), ("/exchange", b"{ }")):
        with pytest.raises(SealRefused, match="wrong signature"):
            Verifier(keys=keys).check(seal, purpose=purpose, body=body, now_s=NOW)
    verifier = Verifier(keys=keys)
    verifier.check(seal, purpose="/exchange", body=b"{}", now_s=NOW)
    with pytest.raises(SealRefused, match="seen before"):
        verifier.check(seal, purpose="/exchange", body=b"{}", now_s=NOW)


@pytest.mark.parametrize(("late_s", "taken"), [(MAX_AGE_S - 1, True), (MAX_AGE_S, True), (MAX_AGE_S + 1, False)])
@pytest.mark.parametrize("sign", [1, -1])
def test_the_age_of_an_envelope_has_a_border_on_both_sides(late_s: int, taken: bool, sign: int) -> None:
    keys = Keys(secrets={"k1": OLD})
    seal = sealed(keys, purpose="/send", body=b"", now_s=NOW)
    verifier = Verifier(keys=keys)
    if taken:
        verifier.check(seal, purpose="/send", body=b"", now_s=NOW + sign * late_s)
    else:
        with pytest.raises(SealRefused, match="too far"):
            verifier.check(seal, purpose="/send", body=b"", now_s=NOW + sign * late_s)


def test_keys_are_changed_without_a_gap() -> None:
    before, during, after = Keys(secrets={"k1": OLD}), Keys(secrets={"k2": NEW, "k1": OLD}), Keys(secrets={"k2": NEW})
    Verifier(keys=during).check(sealed(before, purpose="p", body=b""), purpose="p", body=b"")
    Verifier(keys=after).check(sealed(during, purpose="p", body=b""), purpose="p", body=b"")
    with pytest.raises(SealRefused, match="unknown key"):
        Verifier(keys=after).check(sealed(before, purpose="p", body=b""), purpose="p", body=b"")


@pytest.mark.parametrize("broken", ["", "a.b.c", "k1.x.y.z", "k1.9999999999999.n.m", "k1.1.n.m.o"])
def test_what_is_no_seal_is_refused(broken: str) -> None:
    with pytest.raises(SealRefused):
        Verifier(keys=Keys(secrets={"k1": OLD})).check(broken, purpose="p", body=b"", now_s=NOW)


def test_the_spool_outlives_its_process_and_never_gives_a_number_twice(tmp_path: Path) -> None:
    path = tmp_path / "owed.jsonl"
    spool = Spool(path=path)
    assert [spool.append({"kind": "push", "n": n}) for n in range(3)] == [1, 2, 3]
    spool.taken(1)
    with path.open("ab") as file:
        file.write(b'{"seq": 9, "kind": "cut o')  # killed in the middle of a line
    again = Spool(path=path)
    assert [e["seq"] for e in again.pending(after=0)] == [2, 3]
    assert [e["seq"] for e in again.pending(after=2)] == [3]
    again.taken(3)
    assert Spool(path=path).pending(after=0) == [] and Spool(path=path).append({}) == 4


def test_what_proves_a_person_is_handed_over_once_and_never_written(tmp_path: Path) -> None:
    path = tmp_path / "owed.jsonl"
    spool = Spool(path=path)
    assert [spool.append({"code": "secret"}, durable=False), spool.append({"n": 1})] == [1, 2]
    assert [e["seq"] for e in spool.pending(after=0)] == [1, 2]
    assert "secret" not in path.read_text()
    again = Spool(path=path)
    assert [e["seq"] for e in again.pending(after=0)] == [2], "a restart forgets it and gives no number twice"
    assert again.append({}, durable=False) == 3 and "secret" not in path.read_text()
    spool.taken(1)
    assert [e["seq"] for e in spool.pending(after=0)] == [2]


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        Keys(secrets={"k1": b"short"})
