"""Who is told, of what, over which channels, and why: pure, at the borders."""

from datetime import UTC, datetime, timedelta

import pytest
from pydantic import ValidationError

from services.contracts.marketing import PersonChanged
from services.contracts.organisation import LeaveChanged, PostChanged, UnitChanged
from services.contracts.portrait import CustomerProfileChanged, ScoreDisputed
from services.notify.manifest import SERVICE
from services.notify.policy.classes import CLASSES_OF, every_class
from services.notify.policy.document import Policy, Rule, rule_for, shipped_policy
from services.notify.policy.planning import Charged, Directory, Engaged, Place, Plan, plan
from services.notify.policy.reasons import Why, sentence
from services.notify.templates.texts import templates

NOW = datetime(2026, 7, 1, 4, tzinfo=UTC)
A1, A2 = Place(customer_id="C-1", account_id="A-1"), Place(customer_id="C-1", account_id="A-2")
B1 = Place(customer_id="C-2", account_id="B-1")
WECHAT = frozenset({"wechat"})


def contact(person: str, customer: str, *accounts: str, role: str = "customer-contact", **when: datetime) -> Engaged:
    return Engaged(person_id=person, customer_id=customer, role=role, account_ids=frozenset(accounts), **when)


def manager(person: str, *, named: bool = True, acting_for: str | None = None, on_duty: bool = False) -> Charged:
    return Charged(
        person_id=person, customer_id="C-1", role="account-manager", named=named, acting_for=acting_for, on_duty=on_duty
    )


def drawn(rule: str | Rule, directory: Directory, *places: Place, customers: tuple[str, ...] = ("C-1",)) -> Plan:
    found = rule_for(rule) if isinstance(rule, str) else rule
    return plan(rule=found, customers=customers, places=places, directory=directory, now=NOW)


def why(planned: Plan, person: str, customer: str = "C-1") -> tuple[bool, list[Why]]:
    [line] = [e for e in planned.explanations if (e.person_id, e.customer_id) == (person, customer)]
    return line.told, [r.why for r in line.reasons]


def test_one_person_of_two_customers_gets_one_message_that_names_all_accounts() -> None:
    directory = Directory(engaged=(contact("P", "C-2"), contact("P", "C-1")), reach={"P": WECHAT})
    planned = drawn("fault-outage", directory, B1, A2, A1, A1, customers=("C-1", "C-2"))
    assert [(r.person_id, r.channels, r.places) for r in planned.recipients] == [
        ("P", ("wechat", "inbox"), (A1, A2, B1))
    ]
    assert [(e.customer_id, e.told) for e in planned.explanations] == [("C-1", True), ("C-2", True)]


def test_a_person_of_one_account_is_not_told_of_another_account_and_it_says_so() -> None:
    directory = Directory(engaged=(contact("P", "C-1", "A-2"), contact("Q", "C-1", "A-9")))
    planned = drawn("fault-outage", directory, A1, A2)
    assert [(r.person_id, r.places, r.channels) for r in planned.recipients] == [("P", (A2,), ("inbox",))]
    assert why(planned, "P") == (True, [Why.CUSTOMER_ROLE, *[Why.NO_ADDRESS] * 3, Why.CHANNELS])
    assert why(planned, "Q") == (False, [Why.OTHER_ACCOUNTS])


def test_an_engagement_counts_from_its_first_instant_to_before_its_last() -> None:
    tick = timedelta(microseconds=1)
    directory = Directory(
        engaged=(
            contact("begins", "C-1", valid_from=NOW),
            contact("later", "C-1", valid_from=NOW + tick),
            contact("ends", "C-1", valid_to=NOW + tick),
            contact("ended", "C-1", valid_to=NOW),
        )
    )
    planned = drawn("fault-outage", directory, A1)
    assert [r.person_id for r in planned.recipients] == ["begins", "ends"]
    assert why(planned, "later") == why(planned, "ended") == (False, [Why.NOT_IN_FORCE])


def test_a_role_that_is_not_meant_is_not_told() -> None:
    directory = Directory(engaged=(contact("E", "C-1", role="customer-electrician"), contact("K", "C-1")))
    planned = drawn("efficiency-scored", directory)
    assert [r.person_id for r in planned.recipients] == ["K"]
    assert why(planned, "E") == (False, [Why.ROLE_NOT_MEANT])


def test_the_ladder_follows_the_policy_and_leaves_out_what_is_off_unless_the_class_is_mandatory() -> None:
    reach = {"P": frozenset({"mail", "sms", "wechat"})}
    directory = Directory(engaged=(contact("P", "C-1"),), reach=reach, off={"P": WECHAT})
    score, fault = drawn("efficiency-scored", directory), drawn("fault-outage", directory, A1)
    assert score.recipients[0].channels == ("mail", "inbox")
    assert why(score, "P") == (True, [Why.CUSTOMER_ROLE, Why.SWITCHED_OFF, Why.CHANNELS, Why.QUIET])
    assert fault.recipients[0].channels == ("wechat", "sms", "mail", "inbox")


def test_restoration_goes_to_those_told_of_the_outage_only() -> None:
    directory = Directory(
        engaged=(contact("P", "C-1"), contact("new", "C-1")), told={"P": frozenset({A1}), "other": frozenset({B1})}
    )
    planned = drawn("supply-restored", directory, A1, A2)
    assert [(r.person_id, r.places) for r in planned.recipients] == [("P", (A1,))]
    assert why(planned, "new") == (False, [Why.WAS_NOT_TOLD])
    assert why(planned, "other", "C-2") == (False, [Why.OTHER_PLACES])


def test_an_ending_without_places_of_its_own_reaches_all_who_were_told_with_their_places() -> None:
    directory = Directory(told={"P": frozenset({A1, B1})})
    planned = drawn("restoration-estimated", directory, customers=("C-1", "C-2"))
    assert [(r.person_id, r.places) for r in planned.recipients] == [("P", (A1, B1))]


def test_a_reclassification_reaches_the_named_manager_and_never_the_customer() -> None:
    directory = Directory(engaged=(contact("P", "C-1"),), charged=(manager("N", named=False), manager("M")))
    planned = drawn("reclassified", directory)
    assert [r.person_id for r in planned.recipients] == ["M"]
    assert why(planned, "N") == (False, [Why.NAMED_GOES_FIRST])
    only_area = drawn("reclassified", Directory(charged=(manager("N", named=False),)))
    assert [r.person_id for r in only_area.recipients] == ["N"]


def test_the_deputy_is_told_in_the_place_of_the_absent_holder() -> None:
    planned = drawn("reclassified", Directory(charged=(manager("M"), manager("B", acting_for="M"))))
    assert [r.person_id for r in planned.recipients] == ["B"]
    assert why(planned, "B") == (True, [Why.NAMED_POST, Why.ACTING_FOR, *[Why.NO_ADDRESS] * 2, Why.CHANNELS])
    assert why(planned, "M") == (False, [Why.REPRESENTED])


def test_who_is_on_duty_is_told_beside_the_named_post() -> None:
    planned = drawn("reclassified", Directory(charged=(manager("M"), manager("D", named=False, on_duty=True))))
    assert [r.person_id for r in planned.recipients] == ["D", "M"]


def test_a_list_reaches_exactly_who_stands_on_it() -> None:
    planned = drawn("announcement", Directory(listed={"P": "C-1", "Q": "C-2"}), customers=("C-1", "C-2"))
    assert [(r.person_id, r.customer_id) for r in planned.recipients] == [("P", "C-1"), ("Q", "C-2")]


def test_every_reason_has_its_words_in_both_languages() -> None:
    planned = drawn("fault-outage", Directory(engaged=(contact("P", "C-1"),)), A1)
    for reason in planned.explanations[0].reasons:
        assert sentence(reason).zh and sentence(reason).en
    assert all(sentence(type(reason)(code, "x")).zh for code in Why)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"told_of": ["fault-outage"]}, "exactly one kind of audience"),
        ({"customer_roles": []}, "exactly one kind of audience"),
        ({"channels": ["sms", "sms"]}, "twice"),
        ({"mandatory": True, "quiet": "hold"}, "mandatory"),
        ({"withdraws_unsent": True}, "told_of"),
        ({"priority": 4}, "less than or equal"),
        ({"customer_roles": ["customer-friend"]}, "customer_roles"),
        ({"replaces": ["nothing-known"]}, "no such class"),
    ],
)  # fmt: skip
def test_a_policy_that_contradicts_itself_is_refused_with_the_field(change: dict[str, object], said: str) -> None:
    document = shipped_policy().model_dump(mode="json")
    document["classes"]["efficiency-scored"] |= change
    with pytest.raises(ValidationError, match=said):
        Policy.model_validate(document)


def test_every_class_that_notify_hears_or_makes_has_a_row_and_words() -> None:
    directory = {UnitChanged, PostChanged, LeaveChanged, PersonChanged, CustomerProfileChanged}
    not_messages = directory | {ScoreDisputed}  # becomes a ticket
    assert {c.event for c in SERVICE.consumes} - not_messages == set(CLASSES_OF)
    assert every_class() == set(shipped_policy().classes) == set(templates())
