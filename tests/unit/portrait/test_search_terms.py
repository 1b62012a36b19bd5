"""Under which words a customer is found."""

import pytest

from services.portrait.adapters.pinyin import name_initials
from services.portrait.rules.search_terms import MOST_READINGS, folded, initials, terms


@pytest.mark.parametrize(
    ("said", "form"),
    [("ＡＢ－1 2", "ab-12"), ("  重庆 长安 ", "重庆长安"), ("Steel Plant", "steelplant"), (" \u3000", "")],
)
def test_width_case_and_blanks_do_not_matter(said: str, form: str) -> None:
    assert folded(said) == form


def test_a_word_known_to_the_dictionary_has_one_reading_and_a_rare_one_all_of_them() -> None:
    assert name_initials("重庆长安") == ["cqca"]
    assert {"abcbb", "abhbb"} <= set(name_initials("A+B 厂（北碚）"))
    assert name_initials("") == []


def test_readings_are_combined_up_to_a_limit_the_likeliest_first() -> None:
    assert initials([["zhong", "chong"], ["qing"]]) == ["zq", "cq"]
    assert len(initials([["a", "b"]] * 10)) == MOST_READINGS


def test_empty_terms_are_left_out() -> None:
    found = terms(numbers=[("account", "5001")], texts=[("name", " ")], name_initials=["", "gs"])
    assert found == {("account", "5001"), ("initials", "gs")}
