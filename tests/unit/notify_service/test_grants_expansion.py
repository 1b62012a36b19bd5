"""Who may see what, drawn from posts and units."""

from datetime import UTC, datetime

from services.contracts.organisation import Holding
from services.notify.directory.expansion import Handover, Leave, Organisation, Post, digest, grants_of_post, held_by

YEAR = datetime(2026, 1, 1, tzinfo=UTC)
LEAVE = datetime(2026, 7, 1, tzinfo=UTC)
TREE = Organisation(parents={"city": None, "east": "city", "east-1": "east", "west": "city"})


def post(role: str = "account-manager", **given: object) -> Post:
    held = (Holding(person_id="P-manager", valid_from=YEAR),)
    values = {"post_id": "post-1", "unit_id": "east", "role": role, "holdings": held, **given}
    return Post(**values)  # type: ignore[arg-type]


def test_a_post_over_a_unit_sees_the_unit_and_all_below_and_nothing_beside() -> None:
    grants = grants_of_post(post(), organisation=TREE)
    assert [(g.scope_kind, g.scope_id) for g in grants] == [("area", "east"), ("area", "east-1")]


def test_a_post_over_named_customers_does_not_see_its_whole_unit() -> None:
    grants = grants_of_post(post(customer_ids=("C-2", "C-1")), organisation=TREE)
    assert [(g.scope_kind, g.scope_id) for g in grants] == [("owner", "C-1"), ("owner", "C-2")]


def test_roles_of_the_house_see_everything_and_others_do_not() -> None:
    for role in ("system-administrator", "data-publisher", "auditor"):
        assert [g.scope_kind for g in grants_of_post(post(role), organisation=TREE)] == ["everything"]
    assert {g.scope_kind for g in grants_of_post(post("analyst"), organisation=TREE)} == {"area"}


def test_a_deputy_acts_for_the_holder_in_the_given_time_only() -> None:
    deputy = Holding(person_id="P-deputy", valid_from=LEAVE, valid_to=LEAVE.replace(day=9), acting_for="P-manager")
    grants = grants_of_post(post(holdings=(*post().holdings, deputy), customer_ids=("C-1",)), organisation=TREE)
    acting = [g for g in grants if g.person_id == "P-deputy"]
    assert [(g.acting_for, g.valid_from, g.valid_to) for g in acting] == [("P-manager", LEAVE, LEAVE.replace(day=9))]


def test_an_abolished_post_grants_nothing() -> None:
    assert grants_of_post(post(active=False), organisation=TREE) == ()


def test_a_unit_unknown_yet_grants_nothing_and_its_arrival_changes_the_digest() -> None:
    before = grants_of_post(post(unit_id="north"), organisation=TREE)
    after = grants_of_post(post(unit_id="north"), organisation=Organisation(parents={**TREE.parents, "north": "city"}))
    assert before == () and digest(before) != digest(after)


def test_a_loop_in_the_tree_ends() -> None:
    loop = Organisation(parents={"a": "b", "b": "a"})
    assert loop.below(["a"]) == ["a", "b"]


def away(person: str, *days: int, deputy: str | None = None) -> Leave:
    begins, ends = days
    return Leave(
        person_id=person, starts_at=LEAVE.replace(day=begins), ends_at=LEAVE.replace(day=ends), deputy_id=deputy
    )


def acting(drawn: Post, *leaves: Leave) -> list[tuple[str, str | None, int, int]]:
    return [
        (h.person_id, h.acting_for, h.valid_from.day, h.valid_to.day)
        for h in held_by(drawn, leaves=leaves)
        if h.acting_for is not None and h.valid_to is not None
    ]


def test_the_first_deputy_who_is_there_acts_while_the_holder_is_away() -> None:
    drawn = post(deputies=("B1", "B2"))
    assert acting(drawn, away("P-manager", 5, 9)) == [("B1", "P-manager", 5, 9)]
    assert acting(drawn, away("P-manager", 5, 9), away("B1", 8, 20)) == [("B2", "P-manager", 5, 9)]
    assert acting(drawn, away("P-manager", 5, 9), away("B1", 9, 20)) == [("B1", "P-manager", 5, 9)]  # begins after
    assert acting(drawn, away("P-manager", 5, 9), away("B1", 1, 5)) == [("B1", "P-manager", 5, 9)]  # over before
    assert acting(drawn, away("P-manager", 5, 9), away("B1", 5, 6), away("B2", 8, 9)) == []
    assert acting(drawn, away("P-manager", 5, 9, deputy="X")) == [("X", "P-manager", 5, 9)]
    assert acting(drawn, away("somebody", 5, 9)) == []


def test_a_deputy_acts_no_longer_than_the_holder_holds() -> None:
    held = Holding(person_id="P-manager", valid_from=LEAVE.replace(day=6), valid_to=LEAVE.replace(day=8))
    assert acting(post(deputies=("B1",), holdings=(held,)), away("P-manager", 5, 9)) == [("B1", "P-manager", 6, 8)]


def test_a_hand_over_ends_one_holder_and_begins_the_other_at_the_same_instant() -> None:
    step = Handover(from_person_id="P-manager", to_person_id="P-new", effective_at=LEAVE)
    held = [(h.person_id, h.valid_from, h.valid_to) for h in held_by(post(handovers=(step,)), leaves=())]
    assert held == [("P-manager", YEAR, LEAVE), ("P-new", LEAVE, None)]


def test_personnel_that_repeats_the_old_holder_does_not_undo_a_hand_over_and_one_that_knows_it_adds_nothing() -> None:
    step = Handover(from_person_id="P-manager", to_person_id="P-new", effective_at=LEAVE)
    known = (
        Holding(person_id="P-manager", valid_from=YEAR, valid_to=LEAVE), Holding(person_id="P-new", valid_from=LEAVE),
    )  # fmt: skip
    assert held_by(post(handovers=(step,)), leaves=()) == held_by(post(holdings=known, handovers=(step,)), leaves=())
    back = Handover(from_person_id="P-new", to_person_id="P-manager", effective_at=LEAVE.replace(day=9))
    assert [h.valid_to for h in held_by(post(handovers=(step, back)), leaves=())] == [LEAVE, None, back.effective_at]
