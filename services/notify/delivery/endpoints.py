"""Customers' own systems as recipients: their addresses, secrets, and which happenings they are told of."""

import base64
import json
import secrets
from collections.abc import Collection, Iterable, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import any_, delete, func, literal, or_, select, update

from services.kernel.auth.grants import visible
from services.kernel.errors import InvalidInput, NotFound
from services.kernel.work import UnitOfWork
from services.notify.directory.vault import vault
from services.notify.policy.planning import Place, Recipient
from services.notify.tables import webhook_endpoint

PREFIX = "webhook:"
MOST_PER_CUSTOMER = 10


def person_of(endpoint_id: str) -> str:
    """How the endpoint stands in a message's `person_id`."""
    return f"{PREFIX}{endpoint_id}"


def as_system(recipient: Recipient) -> Recipient:
    """A system that was told of the beginning is told of the end the same way."""
    return replace(recipient, channels=("webhook",)) if recipient.person_id.startswith(PREFIX) else recipient


async def endpoints_of(work: UnitOfWork, *, event_class: str, customers: Collection[str]) -> list[tuple[str, str]]:
    """(endpoint, customer) of the systems that hear this class."""
    e = webhook_endpoint.c
    query = select(e.endpoint_id, e.customer_id).where(
        e.customer_id.in_(sorted(customers)), e.active,
        or_(e.event_classes == [], literal(event_class) == any_(e.event_classes)),
    )  # fmt: skip
    return [(row.endpoint_id, row.customer_id) for row in await work.db.execute(query.order_by(e.endpoint_id))]


def recipients_of(
    endpoints: Iterable[tuple[str, str]], *, customers: Collection[str], places: Collection[Place]
) -> list[Recipient]:
    return [
        Recipient(
            person_id=person_of(endpoint_id), customer_id=customer_id, channels=("webhook",),
            places=tuple(sorted(p for p in places if p.customer_id == customer_id)),
        )
        for endpoint_id, customer_id in endpoints if customer_id in customers
    ]  # fmt: skip


async def endpoint_addresses(work: UnitOfWork, *, people: Sequence[str]) -> dict[str, str]:
    """`webhook:<id>` -> address and live secrets as JSON, newest secret first."""
    ids = [p.removeprefix(PREFIX) for p in people]
    query = select(webhook_endpoint).where(webhook_endpoint.c.endpoint_id.in_(ids), webhook_endpoint.c.active)
    found = {}
    for row in await work.db.execute(query):
        person = person_of(row.endpoint_id)
        key = vault().unwrap(row.wrapped_key, person_id=person)
        live = [key.open(row.secret_cipher, field="secret")]
        if row.former_secret_cipher is not None:
            live.append(key.open(row.former_secret_cipher, field="secret"))
        found[person] = json.dumps({"url": row.url, "secrets": live})
    return found


async def add(work: UnitOfWork, *, customer_id: str, url: str, event_classes: Sequence[str]) -> dict[str, Any]:
    """The endpoint with its secret, which is shown this once. Raises `InvalidInput`."""
    _check(url)
    count = select(func.count()).where(webhook_endpoint.c.customer_id == customer_id)
    if (await work.db.execute(count)).scalar_one() >= MOST_PER_CUSTOMER:
        raise InvalidInput(
            zh=f"每个客户最多 {MOST_PER_CUSTOMER} 个回调地址，请先删除不用的。",
            en=f"At most {MOST_PER_CUSTOMER} endpoints per customer; delete unused ones first.", field="customer_id",
        )  # fmt: skip
    endpoint_id = str(work.new_id("webhook-endpoint"))
    key, wrapped = vault().new_key(person_id=person_of(endpoint_id))
    secret = new_secret()
    row = {
        "endpoint_id": endpoint_id, "customer_id": customer_id, "url": url, "event_classes": sorted(set(event_classes)),
        "wrapped_key": wrapped, "secret_cipher": key.seal(secret, field="secret"), "active": True,
        "created_by": work.actor.person_id, "created_at": work.now,
    }  # fmt: skip
    await work.db.execute(webhook_endpoint.insert().values(row))
    await work.audit(action="webhook-added", object_type="webhook", object_id=endpoint_id, owner_id=customer_id)
    return {**row, "secret": secret}


async def rotate(work: UnitOfWork, *, endpoint_id: str) -> str:
    """The new secret; the former one signs as well until the next rotation. Raises `NotFound`."""
    row = await _own(work, endpoint_id)
    key = vault().unwrap(row.wrapped_key, person_id=person_of(endpoint_id))
    secret = new_secret()
    changed = {"secret_cipher": key.seal(secret, field="secret"), "former_secret_cipher": row.secret_cipher,
               "rotated_at": work.now}  # fmt: skip
    mine = webhook_endpoint.c.endpoint_id == endpoint_id
    await work.db.execute(update(webhook_endpoint).where(mine).values(**changed))
    await work.audit(
        action="webhook-secret-rotated", object_type="webhook", object_id=endpoint_id, owner_id=row.customer_id
    )
    return secret


async def remove(work: UnitOfWork, *, endpoint_id: str) -> None:
    """Raises `NotFound`."""
    row = await _own(work, endpoint_id)
    await work.db.execute(delete(webhook_endpoint).where(webhook_endpoint.c.endpoint_id == endpoint_id))
    await work.audit(action="webhook-removed", object_type="webhook", object_id=endpoint_id, owner_id=row.customer_id)


async def listed(work: UnitOfWork) -> list[Any]:
    query = select(webhook_endpoint).where(visible(webhook_endpoint.c.customer_id, work=work))
    return list((await work.db.execute(query.order_by(webhook_endpoint.c.endpoint_id).limit(200))).all())


def new_secret() -> str:
    # The one place that needs true chance: a secret derived from ids could be derived by others too.
    return "whsec_" + base64.b64encode(secrets.token_bytes(32)).decode()


async def _own(work: UnitOfWork, endpoint_id: str) -> Any:
    query = select(webhook_endpoint).where(
        webhook_endpoint.c.endpoint_id == endpoint_id, visible(webhook_endpoint.c.customer_id, work=work)
    )
    row = (await work.db.execute(query.with_for_update())).first()
    if row is None:
        raise NotFound(what_zh="回调地址", what_en="webhook endpoint", field="endpoint_id")
    return row


def _check(url: str) -> None:
    parts = urlsplit(url)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or parts.fragment:
        raise InvalidInput(
            zh="url 须为不含用户名和 # 的 https 地址。", en="url must be https, without user name and fragment.",
            field="url",
        )  # fmt: skip
