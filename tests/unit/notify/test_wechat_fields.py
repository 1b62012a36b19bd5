"""Typed template fields: what each type admits, and what shortening may never do."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.notify.adapters.wechat.fields import (
    FIELD_RULES,
    CannotShorten,
    admits,
    field_type,
    shorten,
    validate,
)

THING = FIELD_RULES["thing"]

GOOD = [
    ("thing", "一" * 20),
    ("thing", "10kV长江线故障停电"),
    ("character_string", "GZ-2026-0001"),
    ("number", "-12.50"),
    ("letter", "A" * 32),
    ("symbol", "!?"),
    ("time", "15:01"),
    ("time", "2019年10月1日 15:01"),
    ("time", "2019-10-01 15:01"),
    ("time", "2019年10月1日 15:01~2019年10月1日 17:30"),
    ("date", "2019年10月1日"),
    ("date", "2019年10月1日 15:01~2019年10月2日 16:00"),
    ("amount", "¥1234567.89元"),
    ("amount", "1234567890"),
    ("phone_number", "+86-0766-66888866"),
    ("car_number", "粤A8Z888挂"),
    ("name", "欧阳修"),
    ("name", "一二三四五六七八九A"),
    ("name", "A" * 20),
    ("phrase", "抢修中"),
    ("const", "已批准"),
]
BAD = [
    ("thing", "一" * 21),
    ("thing", "两行\n文字"),
    ("character_string", "编号1"),
    ("character_string", "1" * 33),
    ("number", "12kWh"),
    ("number", "1.2.3"),
    ("letter", "A1"),
    ("symbol", "!!!!!!"),
    ("symbol", "好"),
    ("time", "25:00"),
    ("time", "下午三点"),
    ("time", "2019年10月1日"),
    ("date", "15:01"),
    ("date", "2019年13月1日"),
    ("amount", "¥12345678.901元"),
    ("amount", "一百元"),
    ("amount", "¥¥1"),
    ("phone_number", "1" * 18),
    ("phone_number", "转8001"),
    ("car_number", "粤A8Z8888挂"),
    ("name", "一二三四五六七八九十A"),
    ("name", "A" * 21),
    ("phrase", "抢修中A"),
    ("phrase", "正在抢修中了"),
    ("const", "一" * 21),
]


@pytest.mark.parametrize(("kind", "value"), GOOD)
def test_a_value_within_the_rule_is_admitted(kind: str, value: str) -> None:
    assert admits(rule=FIELD_RULES[kind], value=value)


@pytest.mark.parametrize(("kind", "value"), BAD)
def test_a_value_outside_the_rule_is_not_admitted(kind: str, value: str) -> None:
    assert not admits(rule=FIELD_RULES[kind], value=value)


def test_every_type_has_an_example_on_both_sides() -> None:
    documented_without_bad_form = {"const"}
    assert {kind for kind, _ in GOOD} == set(FIELD_RULES)
    assert {kind for kind, _ in BAD} >= set(FIELD_RULES) - documented_without_bad_form


def test_a_problem_names_its_field_and_the_remedy_in_two_languages() -> None:
    problems = validate(values={"thing1": "", "extra9": "x"}, template_fields=frozenset({"thing1", "time2"}))
    assert [p.field for p in problems] == ["extra9", "thing1", "time2"]
    assert all(p.field in p.zh and p.field in p.en for p in problems)


def test_a_good_set_of_values_has_no_problem() -> None:
    values = {"thing1": "线路故障", "time2": "2026年1月15日 10:00", "const3": "计划停电"}
    approved = {"const3": frozenset({"计划停电", "故障停电"})}
    assert validate(values=values, template_fields=frozenset(values), const_values=approved) == []
    [problem] = validate(values=values | {"const3": "促销"}, template_fields=frozenset(values), const_values=approved)
    assert problem.field == "const3"


def test_an_undocumented_type_is_named_instead_of_guessed() -> None:
    [problem] = validate(values={"short_thing1": "x"}, template_fields=frozenset({"short_thing1"}))
    assert "short_thing" in problem.en


@pytest.mark.parametrize(
    ("field", "kind"), [("thing1", "thing"), ("character_string12", "character_string"), ("phrase", "phrase")]
)
def test_the_type_is_the_name_without_its_number(field: str, kind: str) -> None:
    assert field_type(field) == kind


@pytest.mark.parametrize(
    ("text", "short"),
    [
        ("短文字", "短文字"),
        ("第一行\n第二行", "第一行 第二行"),
        ("一二三四五六七八九十一二三四五六七八九十一", "一二三四五六七八九十一二三四五六七八九…"),
        ("重庆市长江上游大型企业的专用变压器10000kVA停电", "重庆市长江上游大型企业的专用变压器…"),
        ("受影响的户号尾数以及预计恢复时间为12:30左右请知悉", "受影响的户号尾数以及预计恢复时间为…"),
        ("计划停电通知，影响贵单位全部生产线，2026年1月15日执行", "计划停电通知，影响贵单位全部生产线…"),
    ],
)
def test_a_long_thing_ends_before_the_number_that_does_not_fit(text: str, short: str) -> None:
    assert shorten(rule=THING, value=text) == short


def test_what_starts_with_a_number_too_long_is_refused() -> None:
    with pytest.raises(CannotShorten):
        shorten(rule=THING, value="12345678901234567890123")


@pytest.mark.parametrize("kind", sorted(set(FIELD_RULES) - {"thing"}))
def test_only_free_text_is_ever_shortened(kind: str) -> None:
    with pytest.raises(CannotShorten, match=kind):
        shorten(rule=FIELD_RULES[kind], value="1" * 60)


@given(st.text(alphabet="电压户号停0123456789.kV年月 ，", min_size=1, max_size=60))
def test_a_shortened_thing_fits_and_keeps_every_number_whole(text: str) -> None:
    try:
        short = shorten(rule=THING, value=text)
    except CannotShorten:
        return
    assert len(short) <= 20
    if short.endswith("…"):
        kept = short[:-1]
        whole = " ".join(text.split())
        assert whole.startswith(kept)
        following = whole[len(kept) :].lstrip(" ，,、。.；;：:（(")
        assert not (re.search(r"\d$", kept) and re.match(r"\d", following)) or whole[len(kept)] in " ，,"


def test_a_flag_or_family_is_not_cut_in_the_middle() -> None:
    family = "\U0001f468\u200d\U0001f469\u200d\U0001f467"
    short = shorten(rule=THING, value="一" * 16 + family + "二二二二")
    assert short == "一" * 16 + "…"
