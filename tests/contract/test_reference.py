"""The published reference: as the manifests are now, and held by the format's own validator."""

from copy import deepcopy
from typing import Any

import pytest
from openapi_spec_validator import OpenAPIV31SpecValidator

from deploy.reference.__main__ import manifests, stale
from services.contracts.registry import BY_TYPE, COMPACTED
from services.kernel.app import build_app
from services.kernel.manifest import Service
from services.kernel.settings import KernelSettings

SERVICES = manifests()
NOT_SAID_YET = {
    "keyline.inspection.hazard-escalated.v1",
    "keyline.notify.conversation-answered.v1",
    "keyline.notify.conversation-opened.v1",
}
"""Heard already, while what leads to them is still to be built; it only ever shrinks."""
each_service = pytest.mark.parametrize("service", SERVICES, ids=lambda s: s.name)


def _document(*services: Service) -> dict[str, Any]:
    document = build_app(services, settings=KernelSettings(environment="test"), role="api").openapi()
    return dict(deepcopy(document))


def test_the_reference_is_what_the_manifests_say() -> None:
    assert stale() == []


@each_service
def test_openapi_is_valid_and_its_validator_sees_a_fault(service: Service) -> None:
    document = _document(service)
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) == []
    path = next(iter(document["paths"]))
    operation = next(iter(document["paths"][path].values()))
    operation["parameters"] = [{"name": "status", "in": "nowhere", "schema": {"type": "string"}}]
    assert list(OpenAPIV31SpecValidator(document).iter_errors()) != []


@each_service
def test_every_operation_names_its_roles_and_has_a_summary_in_chinese_then_english(service: Service) -> None:
    for path, operations in _document(service)["paths"].items():
        for method, operation in operations.items():
            where = f"{method} {path}"
            assert operation.get("x-roles"), where
            zh, _, en = operation.get("summary", "").partition(" ")
            assert any("\u4e00" <= c <= "\u9fff" for c in zh), f"{where}: the summary begins in Chinese"
            assert any(c.isascii() and c.isalpha() for c in en), f"{where}: then English"


def test_all_four_in_one_process_have_the_urls_of_the_single_services() -> None:
    together = _document(*SERVICES)["paths"]
    apart = {path: operations for s in SERVICES for path, operations in _document(s)["paths"].items()}
    assert {p: sorted(o) for p, o in together.items()} == {p: sorted(o) for p, o in apart.items()}


def test_every_topic_has_one_owner_and_everything_heard_is_said_by_somebody() -> None:
    declared: dict[str, str] = {}
    for service in SERVICES:
        for topic in service.topics:
            assert declared.setdefault(topic.name, service.name) == service.name, f"{topic.name} is created by two"
            assert topic.compacted == (topic.name in COMPACTED), topic.name
    said = {event.TYPE for s in SERVICES for event in (*s.publishes, *s.relays)}
    heard = {c.event.TYPE for s in SERVICES for c in s.consumes} | {
        e.TYPE for s in SERVICES for b in s.bulk for e in b.events
    }
    assert heard - said <= NOT_SAID_YET
    assert heard | said <= BY_TYPE.keys()


@each_service
def test_a_service_that_views_a_compacted_topic_hears_deletions(service: Service) -> None:
    for consumed in service.consumes:
        compacted = consumed.event.TOPIC in COMPACTED
        assert (consumed.deletion is not None) == compacted, consumed.event.TYPE
