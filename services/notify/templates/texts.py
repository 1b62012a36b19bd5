"""From the facts of a happening to the words a person reads: templates are data in `templates/messages.json`."""

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import lru_cache
from importlib.resources import files
from typing import Any

from pydantic import BaseModel, ConfigDict

from services.kernel.clock import BUSINESS_ZONE
from services.notify.adapters.wechat.fields import FIELD_RULES, CannotShorten, field_type, shorten

_GRADES = {
    "zh": {"critical": "危急", "serious": "严重", "general": "一般"},
    "en": {"critical": "critical", "serious": "serious", "general": "general"},
}
_CLASSES_ZH = {
    "high-reliability": "高可靠", "high-contribution": "高贡献", "high-service": "高服务", "high-potential": "高潜力",
}  # fmt: skip
_LABELS = {
    "customer": "客户名称", "accounts": "户号", "at": "时间", "until": "截止时间", "finding": "隐患内容",
    "grade": "隐患等级", "note": "备注", "month": "月份", "score": "得分",
}  # fmt: skip
_LONGEST_STRING = 32


class Wording(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")

    title: str
    body: str
    note: str


class Template(BaseModel):
    """`fields` maps the fields of the registered WeChat template to facts."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    template_id: str
    fields: dict[str, str]
    zh: Wording
    en: Wording


@lru_cache(maxsize=1)
def templates() -> dict[str, Template]:
    raw = json.loads(files("services.notify").joinpath("templates/messages.json").read_text("utf-8"))
    return {name: Template.model_validate(value) for name, value in raw.items()}


def registered_templates() -> list[dict[str, Any]]:
    """What has to be registered at the Official Account: id, title and the typed fields with their labels."""
    seen: dict[str, dict[str, Any]] = {}
    for template in templates().values():
        fields = {name: _LABELS[fact] for name, fact in template.fields.items()}
        entry = {"template_id": template.template_id, "title": template.zh.title, "fields": fields}
        seen.setdefault(template.template_id, entry)
    return list(seen.values())


def title_and_body(
    event_class: str, *, language: str, facts: Mapping[str, Any], account_ids: Sequence[str]
) -> tuple[str, str]:
    """The full text, with every account named."""
    wording = _wording(event_class, language)
    words = _words(facts, language)
    return wording.title, wording.body.format(**words, accounts=("、" if language == "zh" else ", ").join(account_ids))


def wechat_fields(
    event_class: str, *, language: str, facts: Mapping[str, Any], account_ids: Sequence[str]
) -> dict[str, str]:
    """The short fields of the WeChat template; too many accounts become `first,second,+3`."""
    words = {
        **_words(facts, language),
        "accounts": _short_list(account_ids, longest=_LONGEST_STRING),
        "note": _wording(event_class, language).note,
    }
    return {
        name: _fitted(words[fact], name) or "-" for name, fact in templates()[event_class].fields.items()
    }  # fmt: skip


def _wording(event_class: str, language: str) -> Wording:
    template = templates()[event_class]
    return template.en if language == "en" else template.zh


def _words(facts: Mapping[str, Any], language: str) -> dict[str, str]:
    words = {name: str(value) for name, value in facts.items()}
    for name in ("at", "until"):
        if name in words:
            words[name] = _moment(words[name], language)
    if "grade" in words:
        words["grade"] = _GRADES["en" if language == "en" else "zh"][words["grade"]]
    for name in ("before", "after"):
        if isinstance(facts.get(name), list):
            names = [c if language == "en" else _CLASSES_ZH.get(c, c) for c in facts[name]]
            words[name] = (", " if language == "en" else "、").join(names) or "-"
    return words


def _moment(iso: str, language: str) -> str:
    local = datetime.fromisoformat(iso).astimezone(BUSINESS_ZONE)
    return local.strftime("%Y-%m-%d %H:%M" if language == "en" else "%Y年%m月%d日 %H:%M")


def _short_list(items: Sequence[str], *, longest: int) -> str:
    for shown in range(len(items), 0, -1):
        rest = len(items) - shown
        line = ",".join(items[:shown]) + (f",+{rest}" if rest else "")
        if len(line) <= longest:
            return line
    return f"{len(items)}"


def _fitted(value: str, field: str) -> str:
    """Free text may be cut; every other type keeps its value or is refused by the provider, never falsified."""
    line = " ".join(value.split())
    try:
        return shorten(rule=FIELD_RULES[field_type(field)], value=line)
    except CannotShorten:
        return line
