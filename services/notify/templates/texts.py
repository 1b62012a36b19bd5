"""From the facts of a happening to the words a person reads: what is shipped, and how any set of texts is filled."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.resources import files
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from services.notify.adapters.wechat.fields import FIELD_RULES, CannotShorten, FieldRule, field_type, shorten
from services.notify.templates.facts import FactType, context_of
from services.notify.templates.sandbox import MOST_SOURCE_CHARS, render_all

Language = Literal["zh", "en"]
_Source = Annotated[str, Field(max_length=MOST_SOURCE_CHARS)]
_LABELS = {
    "count": "消息条数",
    "customer": "客户名称", "account_list": "户号", "at": "时间", "until": "截止时间", "finding": "隐患内容",
    "grade": "隐患等级", "note": "备注", "month": "月份", "score": "得分", "expected": "预计时间", "amount": "金额",
    "due_on": "截止日期", "reason": "原因", "since": "起始时间", "kind": "业务类型", "stage": "办理环节",
    "post": "岗位", "energy_number": "电量", "warning": "预警内容", "headline": "通知标题", "purpose": "任务事项",
    "topic": "咨询事项", "level": "处理要求",
}  # fmt: skip


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Wording(_Part):
    """The sources of one message on one channel in one language; `template_id` and `fields` are WeChat's."""

    title: _Source
    body: _Source
    template_id: Annotated[str, Field(max_length=64)] = ""
    fields: Annotated[dict[str, _Source], Field(max_length=12)] = {}


class _WechatShape(_Part):
    template_id: str
    fields: dict[str, str]


class _Shipped(_Part):
    title: str
    body: str
    note: str = ""
    sms: str | None = None


class Template(_Part):
    """All that is shipped for one event class."""

    facts: dict[str, FactType]
    wechat: _WechatShape | None = None
    zh: _Shipped
    en: _Shipped

    @property
    def template_id(self) -> str:
        return self.wechat.template_id if self.wechat else ""

    @property
    def fields(self) -> dict[str, str]:
        return self.wechat.fields if self.wechat else {}


@dataclass(frozen=True, kw_only=True)
class Rendering:
    """What goes out on one channel: a text, and for WeChat the short fields of a registered template."""

    title: str
    body: str
    template_id: str = ""
    fields: dict[str, str] = field(default_factory=dict)


Key = tuple[str, str, str]
"""Event class, channel, language."""


@dataclass(frozen=True, kw_only=True)
class TextSet:
    """Every wording in force. A channel without its own is worded as the inbox, a language without its own as zh."""

    wordings: Mapping[Key, Wording]

    def wording(self, event_class: str, *, channel: str, language: str) -> Wording:
        """Raises KeyError for a class that has no words at all."""
        for key in (
            (event_class, channel, language), (event_class, "inbox", language), (event_class, channel, "zh"),
        ):  # fmt: skip
            if key in self.wordings:
                return self.wordings[key]
        return self.wordings[event_class, "inbox", "zh"]

    def render(
        self, event_class: str, *, channel: str, language: str, facts: Mapping[str, Any], account_ids: Sequence[str],
        short: bool = False,
    ) -> Rendering:  # fmt: skip
        """Raises `WrongFact` for facts that are not as the class declares them. `short`: only the fields."""
        wording = self.wording(event_class, channel=channel, language=language)
        return fill(
            wording, declared=templates()[event_class].facts, language=language, facts=facts, account_ids=account_ids,
            short=short,
        )  # fmt: skip


def fill(
    wording: Wording, *, declared: Mapping[str, FactType], language: str, facts: Mapping[str, Any],
    account_ids: Sequence[str], short: bool = False,
) -> Rendering:  # fmt: skip
    context = context_of(declared, facts=facts, language=language, account_ids=account_ids)
    text = ("", "") if short and wording.fields else (wording.title, wording.body)
    title, body, *values = render_all([*text, *wording.fields.values()], context)
    fields = {name: _fitted(value, name) or "-" for name, value in zip(wording.fields, values, strict=True)}
    return Rendering(title=title, body=body, template_id=wording.template_id, fields=fields)


@lru_cache(maxsize=1)
def templates() -> dict[str, Template]:
    raw = json.loads(files("services.notify").joinpath("templates/messages.json").read_text("utf-8"))
    return {name: Template.model_validate(value) for name, value in raw.items()}


@lru_cache(maxsize=1)
def shipped_texts() -> TextSet:
    wordings: dict[Key, Wording] = {}
    for event_class, template in templates().items():
        for language, said in (("zh", template.zh), ("en", template.en)):
            wordings[event_class, "inbox", language] = Wording(title=said.title, body=said.body)
            if template.wechat is not None:
                fields = {n: said.note if s == "{{ note }}" else s for n, s in template.wechat.fields.items()}
                wordings[event_class, "wechat", language] = Wording(
                    title=said.title, body=said.body, template_id=template.wechat.template_id, fields=fields
                )
            if said.sms is not None:
                wordings[event_class, "sms", language] = Wording(title=said.title, body=said.sms)
    return TextSet(wordings=wordings)


@lru_cache(maxsize=1)
def shipped_as() -> str:
    """Names this release's wordings by what they say: nobody has to remember to raise a number."""
    said = {"|".join(key): wording.model_dump(mode="json") for key, wording in shipped_texts().wordings.items()}
    return hashlib.sha256(json.dumps(said, sort_keys=True).encode()).hexdigest()[:12]


_in_force: TextSet | None = None


def use_texts(texts: TextSet) -> None:
    """What a transaction found confirmed is what this process words messages with, until the next one looks."""
    global _in_force
    _in_force = texts


def current_texts() -> TextSet:
    return _in_force or shipped_texts()


def registered_templates() -> list[dict[str, Any]]:
    """What has to be registered at the Official Account: id, title and the typed fields with their labels."""
    seen: dict[str, dict[str, Any]] = {}
    for template in templates().values():
        if template.wechat is None:
            continue
        fields = {name: _label(source) for name, source in template.wechat.fields.items()}
        entry = {"template_id": template.wechat.template_id, "title": template.zh.title, "fields": fields}
        seen.setdefault(template.wechat.template_id, entry)
    return list(seen.values())


def _label(source: str) -> str:
    return _LABELS[source.strip("{} ").split("|")[0]]


def title_and_body(
    event_class: str, *, language: str, facts: Mapping[str, Any], account_ids: Sequence[str]
) -> tuple[str, str]:
    """The full text, with every account named."""
    rendering = current_texts().render(
        event_class, channel="inbox", language=language, facts=facts, account_ids=account_ids
    )
    return rendering.title, rendering.body


def wechat_fields(
    event_class: str, *, language: str, facts: Mapping[str, Any], account_ids: Sequence[str]
) -> dict[str, str]:
    """The short fields of the WeChat template; too many accounts become `first,second,+3`."""
    return (
        current_texts()
        .render(event_class, channel="wechat", language=language, facts=facts, account_ids=account_ids)
        .fields
    )


@lru_cache(maxsize=1_000)
def _rule_of(field_name: str) -> FieldRule:
    return FIELD_RULES[field_type(field_name)]


def _fitted(value: str, field_name: str) -> str:
    """Free text may be cut; every other type keeps its value or is refused by the provider, never falsified."""
    line = " ".join(value.split())
    try:
        return shorten(rule=_rule_of(field_name), value=line)
    except CannotShorten:
        return line
