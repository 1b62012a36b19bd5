"""Headers read as a mapping, whatever form they came in, and records sorted by type."""

from services.kernel.packed import by_type
from services.kernel.records import Headers, Record


def record(headers: Headers | dict[str, str]) -> Record:
    return Record(topic="t", partition=0, offset=0, key=None, value=b"", headers=headers, timestamp_ms=0)


def test_headers_are_a_mapping_of_texts_without_those_that_have_no_value() -> None:
    headers = Headers([("a", b"1"), ("b", None), ("c", b"\xff"), ("a", b"2")])
    assert dict(headers) == {"a": "2", "c": "\ufffd"}
    assert (headers.get("b"), headers.get("b", "x"), headers.get("a"), len(headers)) == (None, "x", "2", 2)
    assert "b" not in headers
    assert headers == {"a": "2", "c": "\ufffd"}


def test_headers_of_a_kept_record_read_as_those_of_a_fresh_one() -> None:
    assert dict(Headers.of({"a": "电"})) == {"a": "电"}


def test_records_are_sorted_by_type_in_their_order() -> None:
    first, second, third = record(Headers([("ce_type", b"x")])), record({}), record({"ce_type": "x"})
    assert by_type([first, second, third]) == {"x": [first, third], "": [second]}
