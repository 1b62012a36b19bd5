"""Numbers of decisions and revisions that two branches took at once are found."""

from pathlib import Path

from tests.architecture.numbers import decisions, report, revisions

HEAD = 'revision, down_revision, branch_labels, depends_on = "outage_{:04}", {}, None, None\n'


def test_the_numbers_of_today_are_in_order() -> None:
    assert report() == []


def test_a_number_taken_twice_and_a_heading_of_another_number_are_told(tmp_path: Path) -> None:
    (tmp_path / "0001-one.md").write_text("# 1. One\n")
    (tmp_path / "0002-two.md").write_text("# 0002 Two\n")
    assert decisions(tmp_path) == []
    (tmp_path / "0002-too.md").write_text("# 3. Too\n")
    assert len(decisions(tmp_path)) == 2


def test_a_second_revision_of_one_number_is_told(tmp_path: Path) -> None:
    (tmp_path / "0001_first.py").write_text(HEAD.format(1, None))
    (tmp_path / "0002_second.py").write_text(HEAD.format(2, '"outage_0001"'))
    assert revisions(tmp_path, service="outage") == []
    (tmp_path / "0002_too.py").write_text(HEAD.format(2, '"outage_0001"'))
    assert len(revisions(tmp_path, service="outage")) == 1
