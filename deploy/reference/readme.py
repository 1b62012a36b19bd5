"""A service's table of contents, written into its README between two marks: hears, says, stores, serves."""

import inspect
import re

from services.kernel.http import KeylineRoute
from services.kernel.manifest import Service

BEGIN = "<!-- begin: from manifest.py by make contracts -->"
END = "<!-- end -->"


class NoPlaceForContents(ValueError):
    """The README lacks the two marks between which the tables belong."""


def with_contents(readme: str, service: Service) -> str:
    """The README with its tables as the manifest has them now. Raises `NoPlaceForContents`."""
    before, begin, rest = readme.partition(BEGIN)
    _, end, after = rest.partition(END)
    if not begin or not end:
        raise NoPlaceForContents(f"services/{service.name}/README.md needs the lines {BEGIN} and {END}")
    return f"{before}{BEGIN}\n\n{contents(service)}\n{END}{after}"


def contents(service: Service) -> str:
    parts = [_hears(service), _says(service), _stores(service), _serves(service)]
    if service.jobs:
        jobs = [f"| {j.name} | {j.every} | {_first_line(j.run)} |" for j in service.jobs]
        parts.append(_table("定时任务 Jobs", "| Job | Every | |\n|---|---|---|", jobs))
    return "\n".join(parts)


def _table(title: str, head: str, rows: list[str]) -> str:
    return "\n".join([f"### {title}", "", head, *rows, ""])


def _hears(service: Service) -> str:
    rows = []
    for c in service.consumes:
        handlers = [c.handler, *([c.deletion] if c.deletion else [])]
        named = ", ".join(f"`{h.__name__}`" for h in handlers)
        told = " ".join(filter(None, (_first_line(h) for h in handlers)))
        rows.append(f"| {c.event.headline()} | {c.event.TOPIC} | {named} | {told} |")
    for b in service.bulk:
        rows += [f"| {e.headline()} | {b.topic} | `{b.handler.__name__}`, in bulk | |" for e in b.events]
    return _table("听 Hears", "| 事件 Event | Topic | Handler | 效果 Effect |\n|---|---|---|---|", rows)


def _says(service: Service) -> str:
    rows = [f"| {e.headline()} | {e.TOPIC} | {e.__name__} |" for e in service.publishes]
    relayed = sorted({e.TOPIC for e in service.relays})
    rows += [f"| 转发 relayed for its owner | {topic} | `POST doors/{topic}` |" for topic in relayed]
    return _table("说 Says", "| 事件 Event | Topic | Contract |\n|---|---|---|", rows)


def _stores(service: Service) -> str:
    rows = [
        f"| {t.name} | {t.info.get('holds', '')} | {service.owned.get(t.name, '')} |"
        for t in sorted(service.own_tables, key=lambda t: t.name)
    ]
    head = "| 表 Table | 内容 Holds | 归属列 Owner column (row-level security) |\n|---|---|---|"
    return _table(f"存 Stores (schema `{service.name}`)", head, rows)


def _serves(service: Service) -> str:
    routes = [r for router in service.routers for r in router.routes if isinstance(r, KeylineRoute)]
    rows = []
    for route in sorted(routes, key=lambda r: (r.path, sorted(r.methods or ()))):
        path = route.path.removeprefix(f"/{service.name}/v1")
        who = ", ".join(sorted(route.roles)) or f"public: {route.public_reason}"
        rows.append(f"| `{'/'.join(sorted(route.methods or ()))} {path}` | {route.summary or ''} | {who} |")
    head = "| 路由 Route | 用途 Purpose | 角色 Roles |\n|---|---|---|"
    return _table(f"供 Serves (`/{service.name}/v1`)", head, rows)


def _first_line(handler: object) -> str:
    return re.split(r"\n\s*\n", inspect.getdoc(handler) or "")[0].replace("\n", " ")
