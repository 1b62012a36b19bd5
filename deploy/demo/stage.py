"""What every chapter plays on: the house seen from outside, the publisher, the voice, and the rest between."""

import asyncio
import random
import time
from collections import defaultdict
from collections.abc import Sequence
from importlib import import_module
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeElapsedColumn
from rich.table import Table

from deploy.demo.kills import Kill, Killer
from deploy.demo.outside import NotSeen, Outside
from deploy.demo.publisher import Publisher
from deploy.local.house import House
from services.kernel.manifest import Service
from services.notify.adapters.wechat.messages import client_msg_id

CHUNK = 60
_QUIET_LOOKS = 2
_PATIENCE_WITH_KILLS = 4.0


class Stage:
    def __init__(
        self, *, house: House, publisher: Publisher, console: Console, seed: int, kills: tuple[Kill, ...] = ()
    ) -> None:
        self.house = house
        self.outside = Outside(house, seed=seed, patience=_PATIENCE_WITH_KILLS if kills else 1.0)
        self.publisher = publisher
        self.console = console
        self.random = random.Random(seed)  # noqa: S311  (the order of a demo, not a secret)
        self.killer = Killer(plan=kills, child=house.child, say=lambda line: console.print(f"  {line}"))
        self.latencies: dict[str, list[float]] = defaultdict(list)
        """Milliseconds from handing over to the phone, by `fault` and `hazard`, one per message."""
        manifests: list[Service] = [import_module(f"services.{name}.manifest").SERVICE for name in house.services]
        self._own = _unheard_of_each_other(manifests)
        self._heard = {m.name: {c.event.TYPE for c in m.consumes} for m in manifests}

    def say(self, zh: str, en: str) -> None:
        self.console.print(f"  {zh}\n  [dim]{en}[/dim]", highlight=False)

    def chapter(self, zh: str, en: str) -> None:
        self.console.rule(f"{zh} · {en}", align="left")

    def table(self, *columns: str, rows: Sequence[tuple[str, ...]]) -> None:
        shown = Table(box=None, padding=(0, 1, 0, 2), header_style="dim")
        for column in columns:
            shown.add_column(column, overflow="fold")
        for row in rows:
            shown.add_row(*row)
        self.console.print(shown, highlight=False)

    async def step(self, name: str) -> None:
        """A moment at which a planned kill may strike."""
        await self.killer.reached(name)

    async def send_in_chunks(self, title: str, events: list[Any], *, steps: tuple[str, ...]) -> None:
        """Publish with a progress bar; `steps` are reached at equal distances."""
        chunks = [events[n : n + CHUNK] for n in range(0, len(events), CHUNK)]
        at = {len(chunks) * n // len(steps): name for n, name in enumerate(steps)}
        with _Bar(self.console, title, len(events)) as (progress, task):
            for number, chunk in enumerate(chunks):
                if number in at:
                    await self.step(at[number])
                await self.publisher.send(chunk)
                progress.advance(task, len(chunk))

    async def ok(self, method: str, service: str, path: str, person_id: str, **sent: Any) -> Any:
        """The body of a good answer; raises `NotSeen` with the refusal."""
        status, body = await self.outside.call(
            method, service, f"/{service}/v1{path}", person_id=person_id, **sent
        )  # fmt: skip
        if status >= 300:
            raise NotSeen(f"{method} {path} as {person_id}: {status} {body}")
        return body

    async def refused(self, method: str, service: str, path: str, person_id: str, *, status: int, **sent: Any) -> None:
        found, body = await self.outside.call(method, service, f"/{service}/v1{path}", person_id=person_id, **sent)
        if found != status:
            raise NotSeen(f"{method} {path} as {person_id} was to be refused with {status}: {found} {body}")

    async def settled(self, *, seconds: float = 60, waiting: bool = False) -> None:
        """Until all that was said has been heard by everyone and every message has its receipt.

        `waiting`: references may still be missing.
        """
        quiet, end = 0, time.monotonic() + seconds * self.outside.patience
        while quiet < _QUIET_LOOKS:
            open_work = await self._open_work(waiting=waiting)
            quiet = 0 if open_work else quiet + 1
            if time.monotonic() > end:
                raise NotSeen(f"no rest after {seconds * self.outside.patience:.0f} s: {open_work[:5]}")
            await asyncio.sleep(0.1)

    async def _open_work(self, *, waiting: bool) -> list[Any]:
        found = await self.outside.rows(self._own + ("" if waiting else _waits(self.house.services)))
        for service, types in self._heard.items():
            ids = sorted(i for t in types for i in self.publisher.sent.get(t, ()))
            found += await self.outside.rows(
                f"SELECT '{service} has not heard', i FROM unnest($1::text[]) i"  # noqa: S608  (names of this house)
                f" WHERE NOT EXISTS (SELECT 1 FROM {service}.inbox b WHERE b.id = i)", ids,
            )  # fmt: skip
        return found

    async def told(
        self, *, event_class: str, subjects: dict[str, int], wanted: int, measure: str | None = None
    ) -> list[tuple[str, str, str, float]]:
        """Wait for `wanted` WeChat messages about the subjects (id -> nanosecond of its begin), as shown on phones.

        Person, accounts, wording on the phone, milliseconds from the begin to the sandbox's log.
        """
        rows = await self.outside.until(
            f"{event_class} messages",
            "SELECT d.delivery_id, d.person_id, d.subject_id, array_remove(array_agg(a.account_id), NULL) AS accounts"
            " FROM notify.delivery d LEFT JOIN notify.delivery_account a USING (delivery_id)"
            " WHERE d.event_class = $1 AND d.subject_id = ANY($2) AND d.channel = 'wechat'"
            " AND d.state IN ('accepted', 'delivered') GROUP BY d.delivery_id ORDER BY d.person_id, d.delivery_id",
            lambda r: len(r) >= wanted, event_class, sorted(subjects), seconds=30,
        )  # fmt: skip
        if len(rows) != wanted:
            raise NotSeen(f"{event_class}: {wanted} messages were due, {len(rows)} went out")
        shown = {m.get("client_msg_id"): m for m in await self.outside.sandbox_messages()}
        told = []
        for row in rows:
            message = shown.get(client_msg_id(delivery_id=row["delivery_id"]))
            if message is None:
                raise NotSeen(f"{event_class} for {row['person_id']}: accepted, but not on the phone")
            ms = (message["received_at_monotonic_ns"] - subjects[row["subject_id"]]) / 1e6
            words = " · ".join(str(v) for v in message["data"].values())
            told.append((row["person_id"], ", ".join(sorted(row["accounts"])), words, ms))
            if measure:
                self.latencies[measure].append(ms)
        return told

    def show_told(self, told: list[tuple[str, str, str, float]]) -> None:
        rows = [(person, accounts or "—", words, f"{ms:.0f} ms") for person, accounts, words, ms in sorted(told)]
        self.table("收件人 person", "户号 accounts", "手机所见 on the phone", "用时 after", rows=rows)


def _unheard_of_each_other(manifests: list[Service]) -> str:
    """SQL that finds what a service said and another has not heard, or is not sent, or has no receipt yet."""
    parts = [
        f"SELECT '{m.name} has not sent', id::text FROM {m.name}.outbox WHERE published_at IS NULL"  # noqa: S608
        for m in manifests
    ]
    for hears in manifests:
        types = {c.event.TYPE for c in hears.consumes}
        for says in manifests:
            said = ", ".join(f"'{e.TYPE}'" for e in says.publishes if e.TYPE in types)
            if said:
                parts.append(
                    f"SELECT '{hears.name} has not heard', o.type FROM {says.name}.outbox o WHERE o.type IN ({said})"  # noqa: S608
                    f" AND o.payload IS NOT NULL"
                    f" AND NOT EXISTS (SELECT 1 FROM {hears.name}.inbox b WHERE b.id = o.id::text)"
                )
    parts.append(
        "SELECT 'message on its way', person_id FROM notify.delivery"
        " WHERE state IN ('pending', 'sending') OR (state = 'accepted' AND channel = 'wechat')"
    )
    return " UNION ALL ".join(parts)


def _waits(services: tuple[str, ...]) -> str:
    return "".join(f" UNION ALL SELECT '{s} waits for', reference_id FROM {s}.waiting" for s in services)  # noqa: S608


class _Bar:
    def __init__(self, console: Console, title: str, total: int) -> None:
        self._progress = Progress(
            TextColumn("  " + title), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn(), console=console
        )
        self._total = total

    def __enter__(self) -> tuple[Progress, TaskID]:
        self._progress.start()
        return self._progress, self._progress.add_task("", total=self._total)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
