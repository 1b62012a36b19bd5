"""What is refused when a wording is saved, each with the field and the remedy in both languages. No I/O."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any

from services.notify.adapters.wechat.fields import FIELD_RULES, admits, field_type
from services.notify.templates import sms
from services.notify.templates.facts import FactType, names_of
from services.notify.templates.samples import LONGEST, LONGEST_ACCOUNTS, TYPICAL, TYPICAL_ACCOUNTS, facts_of
from services.notify.templates.sandbox import BadTemplate, check_source
from services.notify.templates.texts import Rendering, Wording, fill, templates

SAMPLES: dict[str, tuple[Mapping[FactType, Any], tuple[str, ...]]] = {
    "typical": (TYPICAL, TYPICAL_ACCOUNTS), "longest": (LONGEST, LONGEST_ACCOUNTS),
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Problem:
    field: str
    zh: str
    en: str


def sampled(wording: Wording, *, event_class: str, language: str, sample: str) -> Rendering:
    declared = templates()[event_class].facts
    values, accounts = SAMPLES[sample]
    return fill(
        wording, declared=declared, language=language, facts=facts_of(declared, values), account_ids=accounts
    )  # fmt: skip


def problems(wording: Wording, *, event_class: str, channel: str, language: str) -> list[Problem]:
    """All of them, in the order of the fields; sources that cannot be read are told before anything is rendered."""
    sources = {"title": wording.title, "body": wording.body} | {f"fields.{n}": s for n, s in wording.fields.items()}
    found = [*_unreadable(sources, event_class), *_misplaced(wording, channel)]
    if found:
        return found
    return [
        *_refused_words(sources, channel),
        *_wrong_fields(wording, event_class=event_class, language=language),
        *_too_long(wording, event_class=event_class, channel=channel, language=language),
    ]


def _unreadable(sources: Mapping[str, str], event_class: str) -> list[Problem]:
    names, found = names_of(templates()[event_class].facts), []
    for name, source in sources.items():
        try:
            check_source(source, names=names)
        except BadTemplate as bad:
            found.append(Problem(field=name, zh=bad.zh, en=bad.en))
        if not source.strip():
            found.append(Problem(field=name, zh="不能为空", en="must not be empty"))
    return found


def _misplaced(wording: Wording, channel: str) -> list[Problem]:
    if channel != "wechat":
        return [] if not (wording.fields or wording.template_id) else [
            Problem(
                field="fields", zh="只有微信渠道使用模板字段，请删去", en="only WeChat has template fields; remove them"
            )
        ]  # fmt: skip
    if not (wording.template_id and wording.fields):
        return [
            Problem(
                field="template_id", zh="请填写模板编号及其字段；没有模板的类别请在策略中去掉微信渠道",
                en="give the template's id and its fields; a class without a template leaves WeChat out of its ladder",
            )
        ]  # fmt: skip
    return [
        Problem(field=f"fields.{name}", zh="字段类型未登记，请补充规则", en="the field type has no rule yet, add one")
        for name in wording.fields if field_type(name) not in FIELD_RULES
    ]  # fmt: skip


@lru_cache(maxsize=1)
def refused_words() -> dict[str, Any]:
    """Data of the house after WeChat's rule that templates carry service notices and no marketing."""
    read: dict[str, Any] = json.loads(
        files("services.notify.templates").joinpath("words_refused.json").read_text("utf-8")
    )
    return read


def marketing_in(text: str) -> list[str]:
    """The refused words that a text holds."""
    rules = refused_words()
    return [word for word in (*rules["zh"], *rules["en"]) if word in text.lower()]


def _refused_words(sources: Mapping[str, str], channel: str) -> list[Problem]:
    if channel not in refused_words()["channels"]:
        return []
    return [
        Problem(
            field=name, zh=f"含营销用语“{word}”；模板消息只能发服务通知，请改写",
            en=f'"{word}" is marketing; template messages carry service notices only, reword it',
        )
        for name, source in sources.items() for word in marketing_in(source)
    ]  # fmt: skip


def _wrong_fields(wording: Wording, *, event_class: str, language: str) -> list[Problem]:
    """Free text is shortened by its rule; every other type has to hold what the facts can be."""
    found: dict[str, Problem] = {}
    for sample in SAMPLES:
        for name, value in sampled(wording, event_class=event_class, language=language, sample=sample).fields.items():
            rule = FIELD_RULES[field_type(name)]
            if not admits(rule=rule, value=value):
                field = f"fields.{name}"
                problem = Problem(
                    field=field, zh=f"“{value}”不符合：{rule.zh}", en=f'"{value}" does not fit: {rule.en}'
                )
                found.setdefault(field, problem)
    return list(found.values())


def _too_long(wording: Wording, *, event_class: str, channel: str, language: str) -> list[Problem]:
    """Measured on typical facts: a very long customer's name must not forbid a good text."""
    if channel != "sms":
        return []
    text = sampled(wording, event_class=event_class, language=language, sample="typical").body
    if sms.segments(text) <= sms.MOST_SEGMENTS:
        return []
    most = sms.PART_CHARS * sms.MOST_SEGMENTS
    return [
        Problem(
            field="body", zh=f"短信 {sms.length(text)} 字，超过 {sms.MOST_SEGMENTS} 条（{most} 字），请缩短",
            en=f"{sms.length(text)} characters are more than {sms.MOST_SEGMENTS} segments ({most}); shorten it",
        )
    ]  # fmt: skip
