"""Who is told, of what, over which channel."""

from services.notify.adapters.wechat.fields import FIELD_RULES, admits, field_type
from services.notify.policy.document import policy, rule_for
from services.notify.policy.planning import Charged, Directory, Engaged, Place, plan
from services.notify.templates.texts import registered_templates, templates, wechat_fields

A1, A2 = Place(customer_id="C-1", account_id="A-1"), Place(customer_id="C-1", account_id="A-2")
B1 = Place(customer_id="C-2", account_id="B-1")


def contact(person: str, customer: str, *accounts: str, role: str = "customer-contact") -> Engaged:
    return Engaged(person_id=person, customer_id=customer, role=role, account_ids=frozenset(accounts))


def test_one_person_of_two_customers_gets_one_message_that_names_all_accounts() -> None:
    directory = Directory(engaged=(contact("P", "C-2"), contact("P", "C-1")), reach={"P": frozenset({"wechat"})})
    told = plan(
        rule=rule_for("fault-outage"), customers={"C-1", "C-2"}, places=[B1, A2, A1, A1], directory=directory
    )  # fmt: skip
    assert [(r.person_id, r.channel, r.places) for r in told] == [("P", "wechat", (A1, A2, B1))]


def test_a_person_of_one_account_is_not_told_of_another_account() -> None:
    directory = Directory(engaged=(contact("P", "C-1", "A-2"), contact("Q", "C-1", "A-9")))
    told = plan(rule=rule_for("fault-outage"), customers={"C-1"}, places=[A1, A2], directory=directory)
    assert [(r.person_id, r.places) for r in told] == [("P", (A2,))]


def test_without_wechat_the_message_goes_to_the_inbox() -> None:
    directory = Directory(engaged=(contact("P", "C-1"),))
    told = plan(rule=rule_for("fault-outage"), customers={"C-1"}, places=[A1], directory=directory)
    assert [r.channel for r in told] == ["inbox"]


def test_restoration_goes_to_those_told_of_the_outage_only() -> None:
    directory = Directory(
        engaged=(contact("P", "C-1"), contact("new", "C-1")), told={"P": frozenset({A1}), "other": frozenset({B1})}
    )
    told = plan(rule=rule_for("supply-restored"), customers={"C-1"}, places=[A1, A2], directory=directory)
    assert [(r.person_id, r.places) for r in told] == [("P", (A1,))]


def test_a_reclassification_reaches_the_named_manager_and_never_the_customer() -> None:
    manager = Charged(person_id="M", customer_id="C-1", role="account-manager", named=True)
    of_area = Charged(person_id="N", customer_id="C-1", role="account-manager", named=False)
    directory = Directory(engaged=(contact("P", "C-1"),), charged=(of_area, manager))
    rule = rule_for("reclassified")
    assert [r.person_id for r in plan(rule=rule, customers={"C-1"}, places=[], directory=directory)] == ["M"]
    only_area = Directory(charged=(of_area,))
    assert [r.person_id for r in plan(rule=rule, customers={"C-1"}, places=[], directory=only_area)] == ["N"]


def test_every_class_of_the_policy_has_its_words() -> None:
    assert set(policy().classes) == set(templates())


def test_short_fields_keep_within_their_limits_and_count_what_is_left_out() -> None:
    fields = wechat_fields(
        "fault-outage", language="zh", account_ids=[f"31010000000{n}" for n in range(5)],
        facts={"customer": "一家名字非常非常长的钢铁股份有限责任公司第二炼钢厂", "at": "2026-07-01T04:05:00+00:00"},
    )  # fmt: skip
    assert len(fields["thing1"]) <= 20 and fields["thing1"].endswith("…")
    assert fields["character_string2"] == "310100000000,310100000001,+3"
    assert fields["time3"] == "2026年07月01日 12:05"


def test_classes_that_share_a_registered_template_fill_the_same_fields() -> None:
    registered = {t["template_id"]: t["fields"] for t in registered_templates()}
    for name, template in templates().items():
        assert template.fields.keys() == registered[template.template_id].keys(), name


def test_what_is_filled_in_passes_the_rules_of_the_field_types() -> None:
    facts = {
        "customer": "某厂", "at": "2026-07-01T04:05:00+00:00", "until": "2026-07-02T04:05:00+00:00", "reason": "检修",
        "finding": "变压器\n油位低", "grade": "serious", "month": "2026-06", "score": "81.2", "band": "B",
    }  # fmt: skip
    for name in templates():
        for language in ("zh", "en"):
            fields = wechat_fields(name, language=language, facts=facts, account_ids=["A-1"])
            for field, value in fields.items():
                assert admits(rule=FIELD_RULES[field_type(field)], value=value), (name, language, field, value)
