"""The typed fields of template messages: what each type admits, checked before WeChat answers 47003.

The rules are data because WeChat has types it does not document: a new one is a new row. A value that is too long
is shortened only where its rule declares how; a shortened amount, time or identifier would be a false statement.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

ELLIPSIS = "…"


class Shortening(StrEnum):
    ELLIPSIS = "ellipsis"
    REFUSE = "refuse"


@dataclass(frozen=True, slots=True)
class FieldRule:
    """`pattern` matches the whole value; `max_chars` counts code points."""

    type: str
    max_chars: int
    pattern: re.Pattern[str]
    zh: str
    en: str
    shortening: Shortening = Shortening.REFUSE


@dataclass(frozen=True, slots=True)
class FieldProblem:
    field: str
    zh: str
    en: str


class CannotShorten(ValueError):
    """The rule declares no shortening, or nothing readable would remain; names the field type and the limit."""


_HAN = "\u4e00-\u9fff\u3400-\u4dbf"
_HOURS = r"(?:[01]?\d|2[0-3]):[0-5]\d(?::[0-5]\d)?"
_DAY = r"\d{4}(?:年(?:0?[1-9]|1[0-2])月(?:0?[1-9]|[12]\d|3[01])日|-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12]\d|3[01]))"
_TIME = rf"(?:{_DAY} ?)?{_HOURS}"
_DATE = rf"{_DAY}(?: ?{_HOURS})?"
_PRINTABLE = r"[^\x00-\x1f\x7f]"


def _rule(type_: str, max_chars: int, pattern: str, zh: str, en: str, *, cut: bool = False) -> FieldRule:
    shortening = Shortening.ELLIPSIS if cut else Shortening.REFUSE
    return FieldRule(type_, max_chars, re.compile(pattern), zh, en, shortening)


FIELD_RULES: Mapping[str, FieldRule] = {
    rule.type: rule
    for rule in (
        _rule("thing", 20, rf"{_PRINTABLE}+", "20个以内字符，不换行", "at most 20 characters, one line", cut=True),
        _rule(
            "character_string",
            32,
            r"[\x20-\x7e]+",
            "32位以内数字、字母或符号，不含汉字",
            "at most 32 digits, letters or symbols, no Chinese",
        ),
        _rule("number", 32, r"-?\d+(?:\.\d+)?", "32位以内数字，可带小数", "at most 32 digits, decimals allowed"),
        _rule("letter", 32, r"[A-Za-z]+", "32位以内字母", "at most 32 letters"),
        _rule("symbol", 5, rf"[^\w\s{_HAN}\x00-\x1f\x7f]+", "5位以内符号", "at most 5 symbols"),
        _rule(
            "time",
            47,
            rf"{_TIME}(?:~{_TIME})?",
            "24小时制时间，可带年月日，时间段用~连接，如 2019年10月1日 15:01",
            "24-hour time, date optional, a range with ~, such as 2019年10月1日 15:01",
        ),
        _rule(
            "date",
            47,
            rf"{_DATE}(?:~{_DATE})?",
            "年月日，可带24小时制时间，时间段用~连接，如 2019年10月1日",
            "a date, time optional, a range with ~, such as 2019年10月1日",
        ),
        _rule(
            "amount",
            14,
            r"[¥￥$€£]?(?=(?:\d\.?){1,10}元?$)\d+(?:\.\d+)?元?",
            "1个币种符号加10位以内数字，可带小数，可以“元”结尾",
            "one currency sign and at most 10 digits, decimals allowed, may end in 元",
        ),
        _rule("phone_number", 17, r"[\d+\-() ]+", "17位以内数字、符号", "at most 17 digits and symbols"),
        _rule(
            "car_number",
            8,
            rf"[{_HAN}A-Z0-9][A-Z0-9]*[{_HAN}A-Z0-9]",
            "8位以内，第一位与最后一位可为汉字，其余为字母或数字",
            "at most 8, Chinese only first and last, letters or digits between",
        ),
        _rule(
            "name",
            20,
            rf"(?=.*[{_HAN}]){_PRINTABLE}{{1,10}}|[^{_HAN}\x00-\x1f\x7f]{{1,20}}",
            "10个以内汉字（中英混合按汉字算）或20个以内字母",
            "at most 10 characters with Chinese among them, or 20 letters",
        ),
        _rule("phrase", 5, rf"[{_HAN}]+", "5个以内纯汉字", "at most 5 Chinese characters, nothing else"),
        _rule("const", 20, rf"{_PRINTABLE}+", "只能用已批准的取值", "one of the approved values"),
    )
}


def field_type(field: str) -> str:
    """`thing1` is of type `thing`, `character_string12` of `character_string`."""
    return field.rstrip("0123456789")


def validate(
    *,
    values: Mapping[str, str],
    template_fields: frozenset[str],
    const_values: Mapping[str, frozenset[str]] | None = None,
    rules: Mapping[str, FieldRule] = FIELD_RULES,
) -> list[FieldProblem]:
    """Problems in the order of the field names; an empty list means WeChat has no ground for 47003.

    `const_values` holds the approved values of each `const` field of this template.
    """
    problems = [FieldProblem(f, f"模板没有字段 {f}，请删去", f"the template has no field {f}, remove it")
                for f in sorted(values.keys() - template_fields)]  # fmt: skip
    for field in sorted(template_fields):
        rule = rules.get(field_type(field))
        if rule is None:
            unknown = field_type(field)
            zh, en = f"字段类型 {unknown} 未登记，请补充规则", f"field type {unknown} has no rule yet, add one"
            problems.append(FieldProblem(field, zh, en))
        elif not values.get(field, "").strip():
            problems.append(FieldProblem(field, f"请填写 {field}：{rule.zh}", f"{field} is empty: {rule.en}"))
        elif not admits(rule=rule, value=values[field], approved=(const_values or {}).get(field)):
            problems.append(FieldProblem(field, f"{field} 须为{rule.zh}", f"{field} must be {rule.en}"))
    return problems


def admits(*, rule: FieldRule, value: str, approved: frozenset[str] | None = None) -> bool:
    """`approved` narrows a `const`; None means that the approved values are not known here."""
    if len(value) > rule.max_chars or rule.pattern.fullmatch(value) is None:
        return False
    return rule.type != "const" or approved is None or value in approved


def shorten(*, rule: FieldRule, value: str) -> str:
    """The value itself if it fits, else its beginning and an ellipsis, never cut inside a number.

    Line breaks become spaces first. Raises `CannotShorten`.
    """
    text = " ".join(value.split()) if rule.shortening is Shortening.ELLIPSIS else value
    if len(text) <= rule.max_chars:
        return text
    if rule.shortening is Shortening.REFUSE:
        raise CannotShorten(f"{rule.type}：{rule.zh} / {rule.type}: {rule.en}")
    kept = text[: _cut(text, rule.max_chars - len(ELLIPSIS))].rstrip(" ，,、。.；;：:（(")
    if not kept:
        raise CannotShorten(f"{rule.type}：{rule.zh} / {rule.type}: {rule.en}")
    return kept + ELLIPSIS


_NUMBER = re.compile(r"[-+]?[A-Za-z¥￥$]{0,8}\d[\d.,:\-/~%A-Za-z年月日时分]*")


def _cut(text: str, limit: int) -> int:
    """Where to cut at or before `limit`: outside any number with its unit, outside a combined character."""
    for number in _NUMBER.finditer(text):
        if number.start() < limit < number.end():
            limit = number.start()
            break
    while 0 < limit < len(text) and (unicodedata.combining(text[limit]) or _joins(text, limit)):
        limit -= 1
    return limit


def _joins(text: str, at: int) -> bool:
    joiners = ("\u200d", "\ufe0f")
    return text[at] in joiners or text[at - 1] == "\u200d"
