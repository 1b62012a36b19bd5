"""docker-compose.yml against its schema, the manifests and the settings: it says what the code reads, all of it."""

import json
import re
from importlib import import_module
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml
from pydantic_settings import BaseSettings

from deploy import server_secrets
from services.kernel.manifest import Service
from services.kernel.migrate import ROLES
from services.kernel.settings import KernelSettings
from tests.conftest import PROJECT

SERVICES = ("inspection", "outage", "portrait", "notify")
_INTERPOLATED = re.compile(r"\$\{(\w+)(:[-?][^}]*)?\}")


@pytest.fixture(scope="module")
def compose() -> dict[str, Any]:
    return dict(yaml.safe_load((PROJECT / "docker-compose.yml").read_text(encoding="utf-8")))


@pytest.fixture(scope="module")
def parts(compose: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return dict(compose["services"])


def _ours(parts: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    return {name: part for name, part in parts.items() if str(part["image"]).startswith("keyline:")}


def _settings_of(service: str) -> list[type[BaseSettings]]:
    """The kernel's settings and, where a service is told more, its own."""
    found: list[type[BaseSettings]] = [KernelSettings]
    for file in sorted((PROJECT / "services" / service).glob("*settings.py")):
        module = import_module(f"services.{service}.{file.stem}")
        found += [c for c in vars(module).values() if isinstance(c, type) and issubclass(c, BaseSettings)]
    return found


def _known(service: str) -> set[str]:
    return {f"KEYLINE_{name.upper()}" for settings in _settings_of(service) for name in settings.model_fields}


def test_the_file_keeps_the_compose_schema(compose: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).parent / "compose_spec" / "compose-spec.json").read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(compose)


def test_the_schema_check_refuses_what_compose_would_refuse(compose: dict[str, Any]) -> None:
    schema = json.loads((Path(__file__).parent / "compose_spec" / "compose-spec.json").read_text(encoding="utf-8"))
    broken = {**compose, "services": {"outage": {"image": "keyline", "restrat": "always"}}}
    assert list(jsonschema.Draft202012Validator(schema).iter_errors(broken))


def test_every_service_runs_with_a_migration_before_it_and_can_be_split(parts: dict[str, dict[str, Any]]) -> None:
    for name in SERVICES:
        assert isinstance(import_module(f"services.{name}.manifest").SERVICE, Service)
        assert parts[name]["command"][:2] == [f"services.{name}", "serve"]
        before = parts[name]["depends_on"]
        assert before[f"migrate-{name}"] == {"condition": "service_completed_successfully"}
        assert before["broker-access"] == {"condition": "service_completed_successfully"}
        assert parts[f"migrate-{name}"]["command"] == [f"services.{name}", "migrate"]
        for role in ("consumer", "worker"):
            split = parts[f"{name}-{role}"]
            assert (split["command"][-1], split["profiles"]) == (role, ["split"])
    assert set(parts["roles"]["command"][-4:]) == set(SERVICES)
    assert parts["broker-access"]["command"] == ["services.kernel.broker_access", *SERVICES]
    assert parts["broker-access"]["depends_on"] == {"kafka": {"condition": "service_healthy"}}
    assert {"gateway", "prometheus", "grafana"} <= parts.keys()


def test_every_environment_name_is_read_by_a_settings_class(parts: dict[str, dict[str, Any]]) -> None:
    for name, part in _ours(parts).items():
        service = part["command"][0].removeprefix("services.").split(".")[0]
        unknown = set(part["environment"]) - _known(service)
        assert unknown == set(), f"{name} sets what nobody reads"


def test_services_are_told_to_run_in_production_at_the_addresses_of_this_file(parts: dict[str, dict[str, Any]]) -> None:
    for part in _ours(parts).values():
        told = {k.removeprefix("KEYLINE_").lower(): v for k, v in part["environment"].items()}
        plain = {k: v for k, v in told.items() if "${" not in v and k in KernelSettings.model_fields}
        settings = KernelSettings(**plain)
        assert settings.environment == "production"
        assert settings.database_host in parts
        assert (settings.kafka_bootstrap_servers, settings.port) == ("kafka:9092", 8080)
        assert settings.database_name == parts["postgres"]["environment"]["POSTGRES_DB"]
        assert settings.database_password is None, "passwords come from files"


def test_every_secret_that_the_code_reads_is_mounted_where_it_is_read(
    parts: dict[str, dict[str, Any]], compose: dict[str, Any]
) -> None:
    for name in SERVICES:
        source = "\n".join(p.read_text(encoding="utf-8") for p in (PROJECT / "services" / name).rglob("*.py"))
        read = set(re.findall(r"secrets?(?:_dir / |\()\s*\"(\w+)\"", source))
        assert (name == "notify") == bool(read), "the search found nothing, or another service reads a secret"
        read = {n if n.startswith(f"{name}_") else f"{name}_{n}" for n in read}
        wanted = {f"{name}_api", f"{name}_worker", f"{name}_kafka", "kafka_ca"} | read
        if import_module(f"services.{name}.manifest").SERVICE.veil is not None:
            wanted.add("pseudonym_key")
        assert wanted <= set(parts[name]["secrets"])
        assert parts[f"migrate-{name}"]["secrets"] == [f"{name}_migrator"]
    logins = {f"{name}_{role}" for name in SERVICES for role in ROLES}
    assert set(parts["roles"]["secrets"]) == {"postgres_superuser"} | logins


def test_each_process_gets_its_own_logins_only(parts: dict[str, dict[str, Any]]) -> None:
    for name, part in _ours(parts).items():
        if name in {"roles", "broker-access"}:
            continue
        service = part["command"][0].removeprefix("services.")
        others = {s for s in part["secrets"] if not s.startswith(f"{service}_")}
        assert others <= {"kafka_ca", "pseudonym_key"}, name
        if part["command"][1] == "serve":
            assert part["environment"]["KEYLINE_KAFKA_USERNAME"] == service, name
        assert not (part["command"][1] == "serve" and f"{service}_migrator" in part["secrets"]), name


def test_secrets_are_files_that_the_command_makes_or_asks_for(compose: dict[str, Any], tmp_path: Path) -> None:
    declared = compose["secrets"]
    assert all(secret == {"file": f"./secrets/{name}"} for name, secret in declared.items())
    mounted = {s for part in compose["services"].values() for s in part.get("secrets", [])}
    assert mounted == declared.keys(), "declared and mounted differ"
    missing = server_secrets.make(tmp_path / "secrets")
    made = {p.name: p.read_text() for p in (tmp_path / "secrets").iterdir()}
    assert made.keys() | set(missing) == declared.keys()
    assert {n for n, text in made.items() if not text} == set(server_secrets.OPTIONAL)
    filled = [text for text in made.values() if text]
    assert len(set(filled)) == len(filled), "two secrets are equal"
    assert server_secrets.make(tmp_path / "secrets") == missing
    assert {p.name: p.read_text() for p in (tmp_path / "secrets").iterdir()} == made, "a second run changed a secret"


def test_no_default_password_stands_in_the_file(parts: dict[str, dict[str, Any]]) -> None:
    for name, part in parts.items():
        for variable, value in part.get("environment", {}).items():
            if re.search(r"PASSWORD|SECRET|TOKEN|_KEY$", variable) and not variable.endswith("SECRETS_DIR"):
                assert str(value).startswith("/run/secrets/"), f"{name}: {variable} is not a file"
    text = (PROJECT / "docker-compose.yml").read_text(encoding="utf-8")
    defaults = {m[1]: m[2] for m in _INTERPOLATED.finditer(text)}
    assert not [v for v, default in defaults.items() if re.search("PASSWORD|SECRET|TOKEN", v)], defaults


def test_processes_are_not_root_and_cannot_write_beyond_their_folders(parts: dict[str, dict[str, Any]]) -> None:
    writable = {name for name, part in parts.items() if not part["read_only"]}
    assert writable == {"kafka"}, "its image writes its configuration at start"
    for name, part in parts.items():
        assert not str(part["user"]).startswith("0"), name
        assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", part["user"]), name
        assert part["cap_drop"] == ["ALL"], name
        assert part["security_opt"] == ["no-new-privileges:true"], name
        assert not part.get("privileged"), name
        assert not [v for v in part.get("volumes", []) if "docker.sock" in v], name


def test_every_process_that_stays_has_a_health_check_of_a_path_that_exists(parts: dict[str, dict[str, Any]]) -> None:
    app = (PROJECT / "services" / "kernel" / "app.py").read_text(encoding="utf-8")
    served = set(re.findall(r"@app\.get\(\"(/\w+)\"", app))
    for name, part in parts.items():
        once = part["restart"].startswith("on-failure")
        assert part["healthcheck"].get("disable", False) is once, name
        if name in _ours(parts) and not once:
            [path] = re.findall(r"127\.0\.0\.1:8080(/\w+)", part["healthcheck"]["test"][-1])
            assert path in served, name


def test_only_the_gateway_is_reachable_from_other_machines(
    parts: dict[str, dict[str, Any]], compose: dict[str, Any]
) -> None:
    published = {name: part["ports"] for name, part in parts.items() if "ports" in part}
    assert published.keys() == {"gateway", "grafana"}
    assert all(p.startswith("127.0.0.1:") for p in published["grafana"])
    assert compose["networks"]["inner"]["internal"]
    for inside in ("postgres", "kafka", "prometheus"):
        assert parts[inside]["networks"] == ["inner"]


def test_topics_are_made_by_the_manifests_never_by_the_broker(parts: dict[str, dict[str, Any]]) -> None:
    start = (PROJECT / "deploy" / "kafka" / "start.sh").read_text(encoding="utf-8")
    assert "\nauto.create.topics.enable=false\n" in start
    assert "./deploy/kafka/start.sh:/start.sh:ro" in parts["kafka"]["volumes"]
    pom = (PROJECT / "deploy" / "kafka" / "pom.xml").read_text(encoding="utf-8")
    [version] = re.findall(r"<kafka\.version>([\d.]+)<", pom)
    assert parts["kafka"]["image"] == f"apache/kafka:{version}", "servers and laptops run the same broker"


def test_the_broker_knows_its_principals_from_the_secret_files(parts: dict[str, dict[str, Any]]) -> None:
    start = (PROJECT / "deploy" / "kafka" / "start.sh").read_text(encoding="utf-8")
    [named] = re.findall(r"for principal in (.*); do", start)
    assert set(named.split()) == set(server_secrets.PRINCIPALS) == {*SERVICES, "administrator", "broker"}
    wanted = {f"{name}_kafka" for name in server_secrets.PRINCIPALS} | {"kafka_keystore", "kafka_ca"}
    assert set(parts["kafka"]["secrets"]) == wanted
    for name in SERVICES:
        assert parts[name]["environment"]["KEYLINE_KAFKA_SECURITY"] == "sasl-ssl"


def test_whatever_a_service_of_its_own_can_be_told_can_be_told_here(parts: dict[str, dict[str, Any]]) -> None:
    left_out = {
        "secrets_dir", "webhook_loopback", "wechat_plain_callbacks",  # the last two weaken what stands here
    }  # fmt: skip
    for name in SERVICES:
        told = {v.removeprefix("KEYLINE_").lower() for v in parts[name]["environment"]}
        told |= {s.removeprefix(f"{name}_") for s in parts[name]["secrets"]}
        own = {
            field
            for settings in _settings_of(name)[1:]
            for field in settings.model_fields
            if settings is not KernelSettings
        }
        assert own - told - left_out == set(), name


def test_prometheus_scrapes_every_service_and_mounted_files_exist(parts: dict[str, dict[str, Any]]) -> None:
    scrape = yaml.safe_load((PROJECT / "deploy" / "prometheus" / "prometheus.yml").read_text())["scrape_configs"]
    [keyline] = [s for s in scrape if s["job_name"] == "keyline"]
    assert set(keyline["static_configs"][0]["targets"]) == {f"{name}:8080" for name in SERVICES}
    for part in parts.values():
        for volume in part.get("volumes", []):
            source = volume.split(":")[0]
            assert not source.startswith(".") or (PROJECT / source).exists(), volume
