"""The AsyncAPI 3.0 document of all topics, made from the contracts."""

import json
from typing import Any

from services.contracts.envelope import Event, schema_of
from services.contracts.examples import example_of
from services.contracts.registry import COMPACTED, EVENTS, by_topic

_ATTRIBUTES = ("ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time")


def asyncapi_document() -> dict[str, Any]:
    """One channel per topic with one message per event; a `send` operation says who owns the topic's events."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Keyline 大客户服务平台事件 / events",
            "version": "1.0.0",
            "description": "CloudEvents 1.0 in binary mode over Kafka: attributes in headers, the schema is the body.",
            "license": {"name": "Apache-2.0"},
        },
        "defaultContentType": "application/json",
        "channels": {topic: _channel(topic, events) for topic, events in sorted(by_topic().items())},
        "operations": {f"send-{topic}": _operation(topic, events) for topic, events in sorted(by_topic().items())},
        "components": {
            "messages": {event.TYPE: _message(event) for event in sorted(EVENTS, key=lambda e: e.TYPE)},
            "schemas": {event.TYPE: _body(event) for event in sorted(EVENTS, key=lambda e: e.TYPE)},
        },
    }


def _channel(topic: str, events: list[type[Event]]) -> dict[str, Any]:
    return {
        "address": topic,
        "messages": {e.TYPE: {"$ref": f"#/components/messages/{e.TYPE}"} for e in events},
        "bindings": {
            "kafka": {
                "topic": topic,
                "topicConfiguration": {"cleanup.policy": ["compact" if topic in COMPACTED else "delete"]},
                "bindingVersion": "0.5.0",
            }
        },
    }


def _operation(topic: str, events: list[type[Event]]) -> dict[str, Any]:
    return {
        "action": "send",
        "channel": {"$ref": f"#/channels/{topic}"},
        "messages": [{"$ref": f"#/channels/{topic}/messages/{e.TYPE}"} for e in events],
        "tags": [{"name": owner} for owner in sorted({e.said_by() for e in events})],
    }


def _message(event: type[Event]) -> dict[str, Any]:
    return {
        "name": event.TYPE,
        "title": event.headline(),
        "contentType": "application/json",
        "headers": {
            "type": "object",
            "required": list(_ATTRIBUTES),
            "properties": {name: {"type": "string"} for name in _ATTRIBUTES} | {"ce_type": {"const": event.TYPE}},
        },
        "payload": {"$ref": f"#/components/schemas/{event.TYPE}"},
        "examples": [{"name": "example", "payload": example_of(event)}],
        "bindings": {"kafka": {"key": {"type": "string", "description": _key(event)}, "bindingVersion": "0.5.0"}},
    }


def _key(event: type[Event]) -> str:
    return f"{event.KEY_PREFIX}{{{event.KEY}}}"


def _body(event: type[Event]) -> dict[str, Any]:
    """The schema with its definitions addressed from the root of this document."""
    own = {name: value for name, value in schema_of(event).items() if name not in ("$schema", "$id")}
    text = json.dumps(own).replace('"#/$defs/', f'"#/components/schemas/{event.TYPE}/$defs/')
    found: dict[str, Any] = json.loads(text)
    return found
