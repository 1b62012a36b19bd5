"""The house as text that two runs can compare byte for byte: all business tables, and the messages on the phones.

Rows are sorted and carry business ids only. What may differ between two runs is listed in `EXCLUDED` with its reason,
and nowhere else; where a part of it is still certain, `DERIVED` compares that part.
"""

import asyncio
import base64
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from sqlalchemy import Table

from deploy.demo.outside import Outside
from services.kernel.manifest import Service
from services.notify.directory.vault import Vault

_WALL = "the moment at which this run did it"
_CALLS = "how often a call was repeated, which is what a kill changes"
_CIPHER = "sealed under a key and nonce drawn at random; compared in the clear instead"
_PROVIDER = "the provider numbers messages as they arrive"
_ORDER = "numbers rows in the order of commits, which unrelated rows may swap"
_PLACE = "partition, offset or lease: where the work was done, not what"

EXCLUDED: dict[str, str] = {
    **{f"inspection.hazard.{c}": _WALL for c in ("found_at", "deadline", "overdue_since")},
    **dict.fromkeys(
        ("inspection.hazard_step.at", "inspection.photo.taken_in_at", "inspection.visit.submitted_at"), _WALL
    ),
    **dict.fromkeys(("outage.notice.accepted_at", "outage.notice.delivered_at"), _WALL),
    **{f"outage.planned_outage.{c}": _WALL for c in ("overridden_at", "started_at")},
    **{f"outage.planned_notice.{c}": _WALL for c in ("unproven_at", "proven_at")},
    **dict.fromkeys(("portrait.service_contact.occurred_at",), _WALL),
    **{f"portrait.score_run.{c}": _WALL for c in ("requested_at", "published_at", "finished_at")},
    "portrait.score_chunk.done_at": _WALL,
    "portrait.score_chunk.done_by": _PLACE,
    "portrait.score_document.entered_at": _WALL,
    "portrait.score_document.confirmed_at": _WALL,
    "portrait.score_dispute.disputed_at": _WALL,
    "portrait.score_dispute.evidence": f"its `disputed_at` is {_WALL}",
    "portrait.customer_shift.confirmed_at": _WALL,
    "portrait.month_facts.stale": "whether somebody asked since the last change",
    "portrait.month_facts.facts": "follows from day blocks when somebody asks; until then as it was",
    "portrait.usage_revision.made_at": _WALL,
    "portrait.day_mark.marked_at": _WALL,
    "portrait.gap_estimate.estimated_at": _WALL,
    "portrait.month_close.closed_at": _WALL,
    "portrait.analysis_run.requested_at": _WALL,
    "portrait.analysis_run.finished_at": _WALL,
    "portrait.class_document.entered_at": _WALL,
    "portrait.class_document.confirmed_at": _WALL,
    "portrait.class_membership.at": _WALL,
    "portrait.class_percentile.frozen_at": _WALL,
    **{f"portrait.usage_warning.{c}": _WALL for c in ("began_at", "cleared_at")},
    "portrait.warning_threshold.set_at": _WALL,
    "portrait.import_file.requested_at": _WALL,
    "portrait.import_file.finished_at": _WALL,
    "portrait.month_close.finished_at": _WALL,
    "notify.preference.changed_at": _WALL,
    "notify.planning.planned_at": _WALL,
    "notify.policy_version.entered_at": _WALL,
    "notify.policy_version.confirmed_at": _WALL,
    "notify.engagement.ended_at": _WALL,
    "notify.person.confirm_asked_at": _WALL,
    **{f"notify.handover.{c}": _WALL for c in ("entered_at", "told_at")},
    **{f"notify.leave.{c}": _WALL for c in ("entered_at", "told_at")},
    "notify.customer.unowned_since": "whether the job looked before the posts had arrived",
    "notify.directory_change.seq": _ORDER,
    **{f"notify.template_version.{c}": _WALL for c in ("entered_at", "confirmed_at")},
    **{f"notify.announcement.{c}": _WALL for c in ("written_at", "approved_at", "sent_at", "reminded_at")},
    **{f"notify.task.{c}": _WALL for c in ("opened_at", "due_at", "done_at")},
    **{f"notify.contact.{c}": _WALL for c in ("said_at", "confirmed_at")},
    **{f"portrait.assignment.{c}": _WALL for c in ("assigned_at", "done_at")},
    **{f"portrait.open_hazard.{c}": _WALL for c in ("first_at", "last_at")},
    "portrait.saved_filter.saved_at": _WALL,
    "notify.ticket.closed_at": _WALL,
    **{
        f"notify.conversation.{c}": _WALL
        for c in (
            "opened_at",
            "waiting_since",
            "due_at",
            "next_step_at",
            "breached_at",
            "answered_at",
            "first_answered_at",
            "closed_at",
        )
    },
    **{
        f"notify.conversation.{c}": "how far the clock was when this run was looked at; whether it broke is compared"
        for c in ("level", "asked_ids", "tell_due", "ticket_id")
    },
    **{f"notify.conversation_message.{c}": _WALL for c in ("said_at", "told_at")},
    **{f"notify.conversation_message.{c}": _CIPHER for c in ("text_cipher", "content_cipher")},
    "notify.webhook_endpoint.created_at": _WALL,
    "notify.webhook_endpoint.rotated_at": _WALL,
    "notify.ticket.opened_at": _WALL,
    "notify.attempt.at": _WALL,
    "notify.early_receipt.received_at": _WALL,
    **{
        f"notify.delivery.{c}": _WALL
        for c in (
            "accepted_at",
            "acknowledged_at",
            "confirm_by",
            "created_at",
            "delivered_at",
            "doubtful_since",
            "ended_at",
            "event_at",
            "fallback_at",
            "give_up_at",
            "next_attempt_at",
            "opened_at",
        )
    },
    "notify.delivery.facts": f"its `at` and `until` are {_WALL}",
    "notify.delivery.attempts": _CALLS,
    "notify.attempt.number": _CALLS,
    "notify.attempt.milliseconds": _WALL,
    "notify.delivery.created_xid": _ORDER,
    "notify.delivery.seq": _ORDER,
    "notify.delivery.provider_message_id": _PROVIDER,
    "notify.person.wrapped_key": _CIPHER,
    "notify.person.name_cipher": _CIPHER,
    "notify.contact.value_cipher": _CIPHER,
    "notify.contact.blind_index": "keyed by the master key of the installation; compared in the clear instead",
    "*.outbox.seq": _ORDER,
    "*.outbox.version": _ORDER,
    "*.outbox.shard": _PLACE,
    "*.outbox.created_at": _WALL,
    "*.outbox.published_at": _WALL,
    "*.outbox.id": f"derives from its cause, and the cause of a receipt carries {_CALLS}",
    "*.outbox.headers": "id, cause and time of the event, excluded above",
    "*.audit.seq": _ORDER,
    "*.audit.at": _WALL,
    "*.audit.cause_id": "as the outbox's id",
    "*.audit.before_hash": f"hash of a row with {_WALL}",
    "*.audit.after_hash": f"hash of a row with {_WALL}",
    "*.idempotency_key.created_at": _WALL,
    "*.idempotency_key.body": f"the answer, with {_WALL}",
    "*.dead_letter.created_at": _WALL,
    "*.dead_letter.offset": _PLACE,
    "*.waiting.offset": _PLACE,
    **dict.fromkeys(("*.waiting.waiting_since", "*.waiting.next_try_at", "*.waiting.attempts"), _WALL),
}
"""`schema.table.column` -> why it may differ."""

DERIVED: dict[str, str] = {
    "inspection.hazard.term": "deadline - found_at",
    "inspection.hazard.found_on": "(found_at AT TIME ZONE 'Asia/Shanghai')::date",
    "inspection.hazard.overdue": "overdue_since IS NOT NULL",
    "inspection.visit.submitted_on": "(submitted_at AT TIME ZONE 'Asia/Shanghai')::date",
    "outage.notice.accepted": "accepted_at IS NOT NULL",
    "outage.notice.delivered": "delivered_at IS NOT NULL",
    "portrait.score_run.finished": "finished_at IS NOT NULL",
    "portrait.service_contact.occurred_on": "(occurred_at AT TIME ZONE 'Asia/Shanghai')::date",
    "notify.delivery.accepted": "accepted_at IS NOT NULL",
    "notify.delivery.told_facts": "facts - 'at' - 'until'",
    "notify.task.term": "due_at - opened_at",
    "notify.ticket.opened_on": "(opened_at AT TIME ZONE 'Asia/Shanghai')::date",
}
"""`schema.table.name` -> SQL compared in place of excluded columns."""

ONLY: dict[str, str] = {
    "audit": "action NOT LIKE '%-read'",
    "notify.attempt": "outcome = 'accepted'",
}
"""Rows compared: a read that is asked again is noted again, and a call that a kill cut off is noted as lost."""

NOT_BUSINESS: dict[str, str] = {
    "notify.wechat_push": "pushes as the provider sent them, named by its ids and times; what they did is compared",
    "notify.wechat_token": "a token that the provider gave, and when",
    "notify.token_bucket": "what is left of the sending limits right now",
    "notify.circuit": "how a provider behaved lately",
    "portrait.changed_days": "a queue of work, in the batches of this run",
    "portrait.warning_due": "a queue of work",
}
"""Tables of services left out whole, with the reason."""

KERNEL_TABLES = ("access_grant", "owner_area", "dead_letter", "waiting", "outbox", "idempotency_key", "audit")
"""Kernel tables that hold business: what was said, refused, granted and done.

Left out: inbox, stream and state versions and job leases, which are how the kernel got there.
"""

_WALL_FIELDS = frozenset(
    {"occurred_at", "submitted_at", "deadline", "estimated_at", "cause_id", "raised_at", "cleared_at"}
)
"""Fields of events said that hold the moment of this run, or an id excluded above."""


async def canonical_dump(outside: Outside, services: Sequence[str], *, master_key: str) -> str:
    """One line per row, `schema.table {column: value, ...}`, tables and rows in order."""
    vault = Vault(master_key=base64.b64decode(master_key))
    lines: list[str] = []
    for name in sorted(services):
        service: Service = import_module(f"services.{name}.manifest").SERVICE
        kernel = [t for t in service.metadata.sorted_tables if t.name in KERNEL_TABLES and t not in service.own_tables]
        own = [t for t in service.own_tables if f"{name}.{t.name}" not in NOT_BUSINESS]
        for table in sorted([*own, *kernel], key=lambda t: t.name):
            lines += await _lines(outside, table, vault)
    return "".join(f"{line}\n" for line in lines)


async def _lines(outside: Outside, table: Table, vault: Vault) -> list[str]:
    full = f"{table.schema}.{table.name}"
    columns = {c.name: f'"{c.name}"' for c in table.columns if not _excluded(full, c.name)}
    columns |= {name.rsplit(".", 1)[1]: sql for name, sql in DERIVED.items() if name.rsplit(".", 1)[0] == full}
    chosen = ", ".join(f'{sql} AS "{name}"' for name, sql in sorted(columns.items()))
    only = ONLY.get(full) or ONLY.get(table.name)
    limit = f"WHERE {only}" if only else ""
    rows = [dict(row) for row in await outside.rows(f"SELECT {chosen} FROM {full} {limit}")]  # noqa: S608  (metadata)
    if full in _CLEAR:
        clear = await outside.rows(_CLEAR[full][0])
        rows += [_CLEAR[full][1](vault, row) for row in clear]
    if table.name == "outbox":
        rows = [{**row, "payload": _said(row["payload"])} for row in rows]
    return sorted(f"{full} {json.dumps(row, default=_text, ensure_ascii=False, sort_keys=True)}" for row in rows)


def _excluded(table: str, column: str) -> bool:
    return f"{table}.{column}" in EXCLUDED or f"*.{table.split('.')[1]}.{column}" in EXCLUDED


def _said(payload: bytes | None) -> Any:
    body = json.loads(payload) if payload is not None else None
    return {k: v for k, v in body.items() if k not in _WALL_FIELDS} if isinstance(body, dict) else body


def _name(vault: Vault, row: Mapping[str, Any]) -> dict[str, Any]:
    key = vault.unwrap(row["wrapped_key"], person_id=row["person_id"])
    return {"person_id": row["person_id"], "name": key.open(row["name_cipher"], field="name")}


def _value(vault: Vault, row: Mapping[str, Any]) -> dict[str, Any]:
    key = vault.unwrap(row["wrapped_key"], person_id=row["person_id"])
    value = key.open(row["value_cipher"], field=row["kind"])
    found_again = row["blind_index"] == vault.blind_index(kind=row["kind"], value=value)
    return {"person_id": row["person_id"], "kind": row["kind"], "value": value, "blind_index_fits": found_again}


_CLEAR: dict[str, tuple[str, Callable[[Vault, Mapping[str, Any]], dict[str, Any]]]] = {
    "notify.person": ("SELECT person_id, wrapped_key, name_cipher FROM notify.person", _name),
    "notify.contact": (
        "SELECT person_id, kind, blind_index, value_cipher, wrapped_key"
        " FROM notify.contact JOIN notify.person USING (person_id)", _value,
    ),
}  # fmt: skip
"""What is sealed at rest, opened with the master key: rows of their own beside those of the table."""


def _text(value: Any) -> str:
    if isinstance(value, bytes) and len(value) > 2_000:
        return f"sha256:{hashlib.sha256(value).hexdigest()}"
    return value.hex() if isinstance(value, bytes) else str(value)


async def canonical_messages(outside: Outside) -> str:
    """Who was shown which words, one line per message, sorted.

    Of the time fields of messages about hazards and classes only the day: they tell the moment of this run.
    """
    return "".join(sorted(_shown(message) + "\n" for message in await outside.sandbox_messages()))


def _shown(message: Mapping[str, Any]) -> str:
    moment = message["template_id"] in ("KEYLINE_HAZARD_FOUND", "KEYLINE_HAZARD_PROGRESS", "KEYLINE_RECLASSIFIED")
    data = {
        name: value.split(" ")[0] if moment and name.startswith("time") else value
        for name, value in message["data"].items()
    }
    kept = {name: message[name] for name in ("openid", "template_id", "client_msg_id")}
    return json.dumps(kept | {"data": data}, ensure_ascii=False, sort_keys=True)


async def write_dump(outside: Outside, services: Sequence[str], *, master_key: str, folder: Path) -> None:
    """`tables.txt` and `messages.txt` in `folder`."""
    texts = {
        "tables.txt": await canonical_dump(outside, services, master_key=master_key),
        "messages.txt": await canonical_messages(outside),
    }
    await asyncio.to_thread(_write, folder, texts)


def _write(folder: Path, texts: dict[str, str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text)
