"""Who may see what, drawn from posts and units."""

from datetime import UTC, datetime

from services.contracts.organisation import Holding
from services.notify.directory.expansion import Organisation, Post, digest, grants_of_post

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
