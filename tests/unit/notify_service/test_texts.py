"""The words of every class, channel and language: golden, and within the rules of the channels."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from services.notify.adapters.wechat.fields import FIELD_RULES, admits, field_type
from services.notify.policy.document import shipped_policy
from services.notify.templates.checks import problems, refused_words
from services.notify.templates.facts import WrongFact, context_of
from services.notify.templates.samples import LONGEST, LONGEST_ACCOUNTS, TYPICAL, TYPICAL_ACCOUNTS, facts_of
from services.notify.templates.sandbox import BadTemplate, _environment, check_source, render, short
from services.notify.templates.sms import segments
from services.notify.templates.texts import Rendering, TextSet, Wording, registered_templates, shipped_texts, templates

GOLDEN = Path(__file__).with_name("renderings.json")
SAMPLES = {"typical": (TYPICAL, TYPICAL_ACCOUNTS), "longest": (LONGEST, LONGEST_ACCOUNTS)}


def rendered(name: str, channel: str, language: str, sample: str) -> Rendering:
    values, accounts = SAMPLES[sample]
    facts = facts_of(templates()[name].facts, values)
    return shipped_texts().render(name, channel=channel, language=language, facts=facts, account_ids=accounts)


def every_rendering() -> dict[str, dict[str, Any]]:
    found = {}
    for name, channel, language in sorted(shipped_texts().wordings):
        for sample in SAMPLES:
            r = rendered(name, channel, language, sample)
            found[f"{name} {channel} {language} {sample}"] = {"title": r.title, "body": r.body, **r.fields}
    return found


def test_all_renderings_are_as_they_were_read_and_accepted() -> None:
    """Written anew by `python -m tests.unit.notify_service.test_texts`; read the difference before you commit it."""
    assert every_rendering() == json.loads(GOLDEN.read_text("utf-8"))


def test_every_short_field_keeps_the_rule_of_its_type() -> None:
    for name, channel, language in shipped_texts().wordings:
        for sample in SAMPLES:
            for field, value in rendered(name, channel, language, sample).fields.items():
                assert admits(rule=FIELD_RULES[field_type(field)], value=value), (name, language, field, value)


def test_classes_that_share_a_registered_template_fill_the_same_fields() -> None:
    registered = {t["template_id"]: t["fields"] for t in registered_templates()}
    for name, template in templates().items():
        if template.wechat is not None:
            assert template.fields.keys() == registered[template.template_id].keys(), name


def test_a_channel_without_words_of_its_own_speaks_as_the_inbox_and_a_language_as_chinese() -> None:
    texts = TextSet(
        wordings={
            ("x", "inbox", "zh"): Wording(title="中", body="正文"), ("x", "inbox", "en"): Wording(title="E", body="b"),
            ("x", "sms", "zh"): Wording(title="短", body="信"),
            ("y", "inbox", "zh"): Wording(title="只有中文", body="无"),
        }
    )  # fmt: skip
    chosen = {
        (c, ch, lang): texts.wording(c, channel=ch, language=lang).title
        for c in "xy" for ch in ("sms", "mail") for lang in ("zh", "en")
    }  # fmt: skip
    assert chosen == {
        ("x", "sms", "zh"): "短", ("x", "sms", "en"): "E", ("x", "mail", "zh"): "中", ("x", "mail", "en"): "E",
        **dict.fromkeys([("y", ch, lang) for ch in ("sms", "mail") for lang in ("zh", "en")], "只有中文"),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("longest", "line"),
    [(32, "A-00000001,A-00000002,A-00000003"), (31, "A-00000001,A-00000002,+1"), (24, "A-00000001,A-00000002,+1"),
     (23, "A-00000001,+2"), (13, "A-00000001,+2"), (12, "3")],
)  # fmt: skip
def test_a_short_list_never_cuts_an_account(longest: int, line: str) -> None:
    assert short([f"A-0000000{n}" for n in (1, 2, 3)], longest) == line


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("{% for a in account_list %}{{ a }}{% endfor %}", "For is not supported"),
        ("{{ customer.__class__ }}", "Getattr is not supported"),
        ("{{ customer() }}", "Call is not supported"),
        ("{{ 'a' * 999999999 }}", "Mul is not supported"),
        ("{% set x = 1 %}", "Assign is not supported"),
        ("{% include 'x' %}", "Include is not supported"),
        ("{{ customer|upper }}", "only filter"),
        ("{{ account_list|short(201) }}", "only filter"),
        ("{{ nobody }}", "unknown nobody"),
        ("{{ customer", "cannot be read"),
        ("x" * 2001, "longer than 2000"),
    ],
)
def test_a_template_can_name_facts_and_nothing_else(source: str, said: str) -> None:
    with pytest.raises(BadTemplate, match=said) as refused:
        check_source(source, names=frozenset({"customer", "account_list"}))
    assert refused.value.zh
    check_source("x" * 2000, names=frozenset())


def test_a_missing_or_wrong_fact_is_named_and_never_rendered_as_nothing() -> None:
    for facts in ({}, {"due_on": "20.7.2026"}):
        with pytest.raises(WrongFact, match="due_on"):
            context_of({"due_on": "day"}, facts=facts, language="zh", account_ids=())
    with pytest.raises(WrongFact, match="grade"):
        context_of({"grade": "grade"}, facts={"grade": "mild"}, language="zh", account_ids=())


@pytest.mark.parametrize(
    "source",
    ["{{ customer }}", "{{ customer }}：{{ account_list|short(12) }}\n", "{{ account_list|short }}", "plain", "",
     "{% if flag %}{{ customer }}{% endif %}", "{{ customer if flag else 'x' }}", "{{ flag }}"],
)  # fmt: skip
def test_what_only_puts_names_together_reads_as_the_template_engine_says(source: str) -> None:
    context = {"customer": "{{ x }}<b>", "account_list": ["A1", "A2", "A30000000"], "flag": True}
    assert render(source, context) == _environment().from_string(source).render(context)


def test_text_from_outside_is_never_read_as_a_template() -> None:
    context = context_of({"customer": "text"}, facts={"customer": "{{ 7 * 7 }}"}, language="zh", account_ids=())
    assert render("{{ customer }}", context) == "{{ 7 * 7 }}"


def test_who_may_be_told_over_wechat_has_a_registered_template() -> None:
    """A trial brings the one of its draft."""
    without = {n for n, rule in shipped_policy().classes.items() if "wechat" in rule.channels} - {
        name for name, channel, _ in shipped_texts().wordings if channel == "wechat"
    }
    assert without == {"template-trial"}


def test_everything_that_is_shipped_could_be_saved_today() -> None:
    for (name, channel, language), wording in shipped_texts().wordings.items():
        assert problems(wording, event_class=name, channel=channel, language=language) == [], (name, channel, language)


@pytest.mark.parametrize(
    ("characters", "count"), [(0, 1), (69, 1), (70, 1), (71, 2), (134, 2), (135, 3), (201, 3), (202, 4)]
)
def test_a_text_message_is_billed_by_its_segments(characters: int, count: int) -> None:
    assert segments("电" * characters) == segments("a" * characters) == count


def test_an_emoji_counts_twice() -> None:
    assert (segments("⚡" * 70), segments("\U0001f50c" * 35), segments("\U0001f50c" * 35 + "a")) == (1, 1, 2)


@pytest.mark.parametrize("word", [*refused_words()["zh"], *refused_words()["en"]])
def test_no_word_of_marketing_enters_a_wechat_template(word: str) -> None:
    wording = Wording(
        title="通知", body=f"{{{{ customer }}}} {word.upper()}", template_id="T", fields={"thing1": "{{ customer }}"}
    )
    [problem] = problems(wording, event_class="efficiency-scored", channel="wechat", language="zh")
    assert problem.field == "body" and word in problem.zh and word in problem.en
    free = wording.model_copy(update={"template_id": "", "fields": {}})
    assert problems(free, event_class="efficiency-scored", channel="mail", language="zh") == []


if __name__ == "__main__":
    GOLDEN.write_text(json.dumps(every_rendering(), ensure_ascii=False, indent=1) + "\n", "utf-8")
    sys.stdout.write(f"{GOLDEN}\n")
