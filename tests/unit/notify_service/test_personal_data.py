"""The table of personal data against the columns of all four services: a column that may hold any is named, or the
build says which is not."""

import re
from fnmatch import fnmatchcase

from sqlalchemy import Column, LargeBinary, String, Text
from sqlalchemy.dialects.postgresql import JSONB

from services.notify.privacy.fields import personal_data
from services.notify.tables import metadata
from tests.access.house import SERVICES

NAMED = re.compile(
    r"cipher|wrapped_key|blind|openid|phone|mobile|mail|name|words|text|note|remark|title|person|reason|finding|detail"
    r"|comment|contact|writer|_by$|actor|holder"
)
FREE_TEXT_CHARACTERS = 100


def may_be_personal(column: Column[object]) -> bool:
    """By its name, or because anything could be written into it."""
    free = isinstance(column.type, Text | JSONB | LargeBinary)
    long = isinstance(column.type, String) and (column.type.length or 0) >= FREE_TEXT_CHARACTERS
    return free or long or bool(NAMED.search(column.name))


CANDIDATES = [
    f"{service.name}.{table.name}.{column.name}"
    for service in SERVICES.values()
    for table in service.metadata.sorted_tables
    for column in table.c
    if may_be_personal(column)
]
PERSONAL = [pattern for field in personal_data().fields for pattern in field.columns]
OTHERS = list(personal_data().not_personal)


def named_in(patterns: list[str], column: str) -> bool:
    return any(fnmatchcase(column, pattern) for pattern in patterns)


def test_every_column_that_may_hold_personal_data_is_in_the_table_or_has_a_reason_why_not() -> None:
    missing = [c for c in CANDIDATES if not named_in(PERSONAL, c) and not named_in(OTHERS, c)]
    assert missing == [], "name them in services/notify/data/personal_data.json"


def test_the_table_names_no_column_that_is_gone() -> None:
    gone = [p for p in (*PERSONAL, *OTHERS) if not any(fnmatchcase(c, p) for c in CANDIDATES)]
    assert gone == []


def test_ciphers_and_keys_of_persons_are_never_called_impersonal() -> None:
    of_persons = re.compile(r"\.(name|value|fields|text|content|media_id|openid|words)_cipher$|\.openid_index$")
    wrong = [c for c in CANDIDATES if of_persons.search(c) and not named_in(PERSONAL, c)]
    assert wrong == ["notify.wechat_token.value_cipher"]


def test_whatever_is_kept_for_a_time_has_a_rule_of_retention_that_fits_its_table() -> None:
    ruled = {rule.table: rule for rule in personal_data().retention}
    for rule in ruled.values():
        assert rule.column in metadata.tables[f"notify.{rule.table}"].c
    for field in personal_data().fields:
        days = re.match(r"(\d+) days", field.retention)
        for column in field.columns if days else ():
            rule = ruled[column.split(".")[1]]
            assert days is not None and rule.days == int(days[1]), column
