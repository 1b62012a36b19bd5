"""The truth table of roles and routes, read; `python -m tests.access.truth` prints the lines that it lacks."""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from fastapi import FastAPI

from services.kernel.app import build_app
from services.kernel.settings import KernelSettings
from tests.access.house import SERVICES

FILE = Path(__file__).parent / "truth.yaml"


@dataclass(frozen=True, kw_only=True)
class Route:
    """One operation of the OpenAPI documents."""

    method: str
    path: str
    operation: dict[str, Any]

    @property
    def name(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def service(self) -> str:
        return self.path.split("/")[1]

    @property
    def declared_roles(self) -> frozenset[str]:
        return frozenset(self.operation["x-roles"])

    @property
    def parameters(self) -> list[str]:
        return re.findall(r"\{(\w+)\}", self.path)


@dataclass(frozen=True, kw_only=True)
class Truth:
    roles: frozenset[str]
    allowed: dict[str, frozenset[str]]
    public: dict[str, str]
    scoped: dict[str, str]
    unscoped: dict[str, str]
    bodies: dict[str, Any]
    queries: dict[str, str]
    prepare: dict[str, str]
    scoped_here: dict[str, str]
    second_person: dict[str, str]
    shows_nothing: dict[str, str]
    audited_elsewhere: dict[str, str]


def read_truth() -> Truth:
    table = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    groups = {name: members.split() for name, members in table["groups"].items()}

    def expand(words: str) -> frozenset[str]:
        return frozenset(role for word in words.split() for role in groups.get(word.removeprefix("$"), [word]))

    return Truth(
        roles=expand(table["roles"]),
        allowed={name: expand(words) for name, words in table["routes"].items()},
        **{
            name: table[name] or {}
            for name in (
                "public",
                "scoped",
                "unscoped",
                "bodies",
                "queries",
                "prepare",
                "scoped_here",
                "second_person",
                "shows_nothing",
                "audited_elsewhere",
            )
        },
    )


def build() -> FastAPI:
    settings = KernelSettings(environment="test", database_password="unused")
    return build_app(list(SERVICES.values()), settings=settings, role="api")


def routes(document: dict[str, Any]) -> list[Route]:
    return [
        Route(method=method.upper(), path=path, operation=operation)
        for path, operations in sorted(document["paths"].items())
        for method, operation in operations.items()
    ]


def main() -> None:
    truth = read_truth()
    for route in routes(build().openapi()):
        if route.name not in truth.allowed and route.name not in truth.public:
            print(f"  {route.name}: {' '.join(sorted(route.declared_roles))}")


if __name__ == "__main__":
    main()
