"""What each service may do at the broker, taken from the manifests.

`python -m services.kernel.broker_access SERVICE...` makes the broker's access list equal to the manifests of all
`SERVICE`s, signed in as the administrator: own topics are written and created, heard ones read, own groups joined.
"""

import argparse
import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from importlib import import_module
from logging import getLogger
from typing import Any

from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import for_code
from aiokafka.protocol.admin import CreateAclsRequest, DeleteAclsRequest, DescribeAclsRequest_v1
from aiokafka.protocol.api import Request

from services.kernel import logging
from services.kernel.broker_login import connection
from services.kernel.manifest import Service
from services.kernel.settings import KernelSettings

log = getLogger(__name__)
_LITERAL, _PREFIXED, _ANY, _ALLOW, _EVERYWHERE = 3, 4, 1, 3, "*"


class _DescribeAcls(Request[DescribeAclsRequest_v1]):  # type: ignore[misc]
    """Version 1: aiokafka calls version 2 flexible and then writes it like version 1."""

    API_KEY = DescribeAclsRequest_v1.API_KEY

    def __init__(self, principal: str) -> None:
        self._principal = principal

    def build(self, request_struct_class: type[DescribeAclsRequest_v1]) -> DescribeAclsRequest_v1:
        return request_struct_class(_ANY, None, _ANY, f"User:{self._principal}", None, _ANY, _ANY)


class Resource(IntEnum):
    """As the protocol numbers them."""

    TOPIC = 2
    GROUP = 3


class Operation(IntEnum):
    """As the protocol numbers them. Reading and writing imply describing."""

    READ = 3
    WRITE = 4
    CREATE = 5


@dataclass(frozen=True, kw_only=True, order=True)
class Right:
    principal: str
    resource: Resource
    name: str
    prefixed: bool = False
    operation: Operation


def rights_of(service: Service, *, prefix: str = "") -> frozenset[Right]:
    """`prefix` is that of the installation's topics and groups."""
    heard = {*service.single_topics, *(b.topic for b in service.bulk)}
    own = {t.name for t in service.topics}
    group = f"{prefix}keyline-{service.name}"

    def topics(names: set[str], operation: Operation) -> set[Right]:
        return {
            Right(principal=service.name, resource=Resource.TOPIC, name=prefix + n, operation=operation) for n in names
        }

    groups = {
        Right(principal=service.name, resource=Resource.GROUP, name=n, prefixed=p, operation=Operation.READ)
        # The second covers bulk topics and rebuilds: no service is called `<another>-something`.
        for n, p in ((group, False), (f"{group}-", True))
    }
    return frozenset(
        topics(own, Operation.WRITE) | topics(own, Operation.CREATE) | topics(heard, Operation.READ) | groups
    )


async def apply_rights(services: Sequence[Service], *, settings: KernelSettings) -> tuple[int, int]:
    """How many rights were given and how many taken away. Only those of `services` are looked at."""
    wanted = {right for s in services for right in rights_of(s, prefix=settings.topic_prefix)}
    admin = AIOKafkaAdminClient(**connection(settings), request_timeout_ms=10_000)
    await admin.start()
    try:
        held = {right for s in services for right in await _held(admin, s.name)}
        for right in sorted(wanted - held):
            await _give(admin, right)
        for right in sorted(held - wanted):
            await _take(admin, right)
    finally:
        await admin.close()
    return len(wanted - held), len(held - wanted)


async def _held(admin: AIOKafkaAdminClient, principal: str) -> set[Right]:
    answer: Any = await admin._send_request(_DescribeAcls(principal))
    _raise_for(answer.error_code, "the access list cannot be read")
    return {
        Right(
            principal=principal, resource=Resource(kind), name=name, prefixed=pattern == _PREFIXED,
            operation=Operation(operation),
        )
        for kind, name, pattern, acls in answer.resources
        for _, _, operation, _ in acls
    }  # fmt: skip


async def _give(admin: AIOKafkaAdminClient, right: Right) -> None:
    pattern = _PREFIXED if right.prefixed else _LITERAL
    request = CreateAclsRequest(
        right.resource, right.name, pattern, f"User:{right.principal}", _EVERYWHERE, right.operation, _ALLOW
    )
    answer: Any = await admin._send_to_controller(request)
    [(code, *_)] = answer.creation_responses
    _raise_for(code, f"cannot give {right}")


async def _take(admin: AIOKafkaAdminClient, right: Right) -> None:
    pattern = _PREFIXED if right.prefixed else _LITERAL
    request = DeleteAclsRequest(
        right.resource, right.name, pattern, f"User:{right.principal}", _EVERYWHERE, right.operation, _ALLOW
    )
    answer: Any = await admin._send_to_controller(request)
    [(code, *_)] = answer.filter_responses
    _raise_for(code, f"cannot take {right}")


def _raise_for(code: int, what: str) -> None:
    if code:
        raise for_code(code)(what)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.kernel.broker_access")
    parser.add_argument("services", nargs="+")
    logging.configure()
    services = [import_module(f"services.{name}.manifest").SERVICE for name in parser.parse_args().services]
    given, taken = asyncio.run(apply_rights(services, settings=KernelSettings()))
    log.info("broker access: %d rights given, %d taken away", given, taken)


if __name__ == "__main__":
    main()
