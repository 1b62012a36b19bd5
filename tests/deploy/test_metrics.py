"""What a process exposes: every metric that rules and dashboards name, bounded labels, a bounded number of series."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.conftest import PROJECT
from tests.deploy.monitoring import DASHBOARDS, alerts, metrics_in

SERVICES = ("inspection", "outage", "portrait", "notify")
_OF_PROMETHEUS = {"up", "ALERTS", "process_start_time_seconds"}

LABELS = {"service", "topic", "event", "outcome"}
ALSO = {
    "loop": "the poll loops of a manifest",
    "job": "the jobs of a manifest",
    "what": "database, broker, or the place of a retry in the code",
    "method": "HTTP verbs",
    "route": "templates of a manifest's routes, never the address called",
    "status": "HTTP statuses",
    "event_class": "the classes of notify's policy",
    "channel": "the channels of notify",
    "reason_class": "classes of a provider's answers",
    "to": "the channels of notify",
    "layer": "the places where notify suppresses repeats",
    "provider": "the providers of notify's settings",
    "limit": "the limits of a provider",
    "template": "the template keys of notify's policy",
    "finding": "the findings of notify's auditor",
    "standing": "the standings of a notice",
    "priority": "the priorities P0 to P3",
    "conversation_topic": "the five topics of a conversation",
}
"""Labels beyond the four of the house, each with the bounded set it is taken from."""

DESIGN = {
    "keyline_consumer_lag_records", "keyline_oldest_unprocessed_event_seconds", "keyline_outbox_depth",
    "keyline_outbox_oldest_seconds", "keyline_handler_seconds", "keyline_waiting_references", "keyline_dead_letters",
    "keyline_retries_total", "keyline_poll_loop_age_seconds", "keyline_notify_fault_to_accept_seconds",
    "keyline_outage_notice_lead_hours", "keyline_inspection_hazard_age_hours", "keyline_portrait_scored_share",
}  # fmt: skip
"""What the house promises to show from outside."""

_DECLARED = """
import json, sys
from importlib import import_module
from prometheus_client import REGISTRY
import_module("services.kernel.observe")
for name in sys.argv[1:]:
    import_module(f"services.{name}.manifest")
found = {}
for collector, names in REGISTRY._collector_to_names.items():
    for name in names:
        found[name] = list(getattr(collector, "_labelnames", ()))
print(json.dumps(found))
"""


@pytest.fixture(scope="module")
def declared() -> dict[str, list[str]]:
    """Names of series that the four services declare when they are imported, with their labels."""
    argv = [sys.executable, "-c", _DECLARED, *SERVICES]
    done = subprocess.run(argv, cwd=PROJECT, capture_output=True, text=True, check=True)
    return dict(json.loads(done.stdout))


def _expressions() -> dict[str, set[str]]:
    found = {name: metrics_in(rule["expr"]) for name, rule in alerts().items()}
    for file in DASHBOARDS.glob("*.json"):
        panels: list[dict[str, Any]] = json.loads(file.read_text(encoding="utf-8"))["panels"]
        for panel in panels:
            for target in panel.get("targets", []):
                found[f"{file.name}: {panel['title']}"] = metrics_in(target["expr"])
    return found


def test_every_metric_of_rules_and_dashboards_is_one_that_a_service_declares(declared: dict[str, list[str]]) -> None:
    asked = _expressions()
    assert len(asked) > 30
    unknown = {where: names - declared.keys() - _OF_PROMETHEUS for where, names in asked.items()}
    assert {where: names for where, names in unknown.items() if names} == {}
    assert all(names for names in asked.values()), "an expression without a metric"


def test_what_the_house_promises_to_show_is_declared_and_on_a_dashboard(declared: dict[str, list[str]]) -> None:
    assert DESIGN - declared.keys() == set()
    shown = set().union(*(names for where, names in _expressions().items() if ".json" in where))
    hidden = {name for name in DESIGN if not any(s == name or s.startswith(f"{name}_") for s in shown)}
    assert hidden == set()


def test_labels_come_from_bounded_sets_that_are_named_here(declared: dict[str, list[str]]) -> None:
    ours = {name: set(labels) for name, labels in declared.items() if name.startswith("keyline_")}
    strange = {name: labels - LABELS - ALSO.keys() for name, labels in ours.items()}
    assert {name: labels for name, labels in strange.items() if labels} == {}
    used = set().union(*ours.values())
    assert ALSO.keys() - used == set(), "named, but no longer used"
