"""Contracts against their published form: schemas, examples, and the schemas of the last release."""

import copy
import json
from collections.abc import Callable
from typing import Any

import jsonschema
import pytest
from pydantic import ValidationError

from services.contracts import compatibility, generate
from services.contracts.envelope import Event
from services.contracts.examples import example_of, exemplar, published_schema
from services.contracts.registry import COMPACTED, EVENTS, by_topic

BY_NAME = {event.TYPE: event for event in EVENTS}
RELEASED = compatibility.released()
FEEDER = "keyline.grid.feeder-changed.v1"
every_event = pytest.mark.parametrize("event", EVENTS, ids=BY_NAME)


@every_event
def test_the_example_is_what_a_producer_sends_and_the_schema_accepts_it_as_the_class_does(event: type[Event]) -> None:
    example = example_of(event)
    schema = published_schema(event)
    jsonschema.Draft202012Validator.check_schema(schema)
    jsonschema.validate(example, schema)
    sent = exemplar(event).to_wire()
    jsonschema.validate(json.loads(sent), schema)
    assert event.from_wire(sent).to_wire() == sent


@every_event
def test_unknown_fields_are_forbidden_to_producers_and_ignored_by_consumers(event: type[Event]) -> None:
    body = json.dumps({**example_of(event), "added_by_a_later_version": [1, {"deep": None}]}).encode()
    with pytest.raises(ValidationError):
        event.model_validate_json(body)
    assert event.from_wire(body).to_wire() == exemplar(event).to_wire()


@pytest.mark.parametrize("type_", RELEASED)
def test_new_examples_satisfy_consumers_of_the_release_and_its_examples_satisfy_todays(type_: str) -> None:
    before = RELEASED[type_]
    jsonschema.validate(json.loads(exemplar(BY_NAME[type_]).to_wire()), compatibility.as_consumers_read(before))
    for example in before["examples"]:
        BY_NAME[type_].from_wire(json.dumps(example).encode())


def test_nothing_released_is_broken_and_everything_published_is_up_to_date() -> None:
    assert compatibility.breaches(RELEASED, compatibility.current()) == []
    assert generate.unexplained() == []
    assert generate.stale() == []


def _take_away(schema: dict[str, Any]) -> None:
    del schema["properties"]["substation_id"]
    schema["required"].remove("substation_id")


def _require_new(schema: dict[str, Any]) -> None:
    schema["properties"]["owner"] = {"type": "string"}
    schema["required"].append("owner")


def _make_required(schema: dict[str, Any]) -> None:
    schema["$defs"]["FeederSection"]["required"].append("usage_point_ids")


def _tighten_deep(schema: dict[str, Any]) -> None:
    schema["$defs"]["FeederSection"]["properties"]["section_id"]["maxLength"] = 10


def _retype(schema: dict[str, Any]) -> None:
    schema["properties"]["version"]["type"] = "string"


def _move(schema: dict[str, Any]) -> None:
    schema["x-topic"] = "elsewhere"


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (_take_away, "substation_id was taken away"),
        (_require_new, "owner is new and required"),
        (_make_required, "usage_point_ids changed between optional and required"),
        (_tighten_deep, "section_id (maxLength) changed from 64 to 10"),
        (_retype, 'version (type) changed from "integer" to "string"'),
        (_move, "(x-topic) changed"),
    ],
)
def test_a_breaking_change_is_told_with_what_to_do_instead(change: Callable[[dict[str, Any]], None], told: str) -> None:
    changed = copy.deepcopy(compatibility.current())
    change(changed[FEEDER])
    [sentence, *others] = compatibility.breaches(compatibility.current(), changed)
    assert told in sentence
    assert "TYPE ends in the next .v<n>" in sentence
    assert all(s.startswith(FEEDER) for s in [sentence, *others])


def test_a_withdrawn_contract_is_a_break_and_an_optional_field_or_a_better_word_is_none() -> None:
    current = compatibility.current()
    without = {type_: schema for type_, schema in current.items() if type_ != FEEDER}
    [sentence] = compatibility.breaches(current, without)
    assert "no longer exists" in sentence
    grown = copy.deepcopy(current)
    grown[FEEDER]["properties"]["remark"] = {"type": "string", "default": ""}
    grown[FEEDER]["description"] = "said better"
    grown["keyline.grid.new-event.v1"] = grown[FEEDER]
    assert compatibility.breaches(current, grown) == []


@pytest.mark.parametrize("topic", sorted(COMPACTED))
def test_on_a_compacted_topic_all_are_states_and_keys_of_different_kinds_never_meet(topic: str) -> None:
    events = by_topic()[topic]
    assert {event.DELIVERY for event in events} == {"state"}
    for event in events:
        own = event.key_of("X-1")
        assert event.id_in(own) == "X-1"
        assert [other for other in events if other.id_in(own) is not None] == [event]
