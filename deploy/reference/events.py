"""The list of events: every topic with its key, its owner, what is said on it and who hears it."""

from collections.abc import Sequence

from services.contracts.envelope import Event
from services.contracts.registry import COMPACTED, by_topic
from services.kernel.manifest import Service

_HEAD = """# 事件 Events

Written by `make contracts` from the contracts and the manifests. On the wire: CloudEvents 1.0, binary mode, over Kafka;
the schemas are in [`services/contracts/golden`](../../services/contracts/golden), examples beside them in
[`examples`](../../services/contracts/examples), everything in one document in [`asyncapi.json`](asyncapi.json).
由 `make contracts` 依据契约与各服务清单生成。

"State": the newest version of an aggregate wins. "Fact": all apply, in any order. A null value on a compacted topic
deletes the aggregate named by the key.
"""
_TABLE_HEAD = "| 事件 Event | 类型 Type | 性质 Kind | 订阅 Heard by |\n|---|---|---|---|"


def events_page(services: Sequence[Service]) -> str:
    sections = [_section(topic, events, services) for topic, events in sorted(by_topic().items())]
    return "\n".join([_HEAD, *sections])


def heard(service: Service) -> set[type[Event]]:
    return {c.event for c in service.consumes} | {event for b in service.bulk for event in b.events}


def _section(topic: str, events: Sequence[type[Event]], services: Sequence[Service]) -> str:
    owners = ", ".join(sorted({event.said_by() for event in events}))
    keys = ", ".join(sorted({f"`{event.KEY_PREFIX}{{{event.KEY}}}`" for event in events}))
    specs = [t for s in services for t in s.topics if t.name == topic]
    kept = "compacted" if topic in COMPACTED else (f"{specs[0].retention_days} d" if specs else "")
    facts = [f"键 key {keys}", f"来源 said by {owners}", *([f"保留 kept {kept}"] if kept else [])]
    if doors := sorted(s.name for s in services if topic in {e.TOPIC for e in s.relays}):
        facts.append("入口 door " + ", ".join(f"`POST /{name}/v1/doors/{topic}`" for name in doors))
    return "\n".join(
        [f"## {topic}\n", " · ".join(facts) + "\n", _TABLE_HEAD, *(_row(event, services) for event in events), ""]
    )


def _row(event: type[Event], services: Sequence[Service]) -> str:
    hearers = ", ".join(s.name for s in services if event in heard(s)) or "—"
    kind = {"state": "状态 state", "fact": "事实 fact"}[event.DELIVERY]
    link = f"[`{event.TYPE}`](../../services/contracts/golden/{event.TYPE}.json)"
    return f"| {event.headline()} | {link} | {kind} | {hearers} |"
