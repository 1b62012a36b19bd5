"""The rules, dashboards and tools that the monitoring tests share."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import PROJECT

PROMETHEUS = PROJECT / "deploy" / "prometheus"
RULES = PROMETHEUS / "rules.yml"
DASHBOARDS = PROJECT / "deploy" / "grafana" / "dashboards"


def tool(name: str) -> str:
    """Its path. Missing, it fails in CI and elsewhere skips with the remedy."""
    found = shutil.which(name)
    if found is None:
        remedy = f"{name} is not installed (Debian: apt-get install prometheus): alerts are NOT shown to fire"
        if os.environ.get("CI") == "true":
            pytest.fail(remedy)
        print(remedy, file=sys.stderr)
        pytest.skip(remedy)
    return found


def run(*argv: str | Path) -> str:
    done = subprocess.run([str(a) for a in argv], capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load(RULES.read_text(encoding="utf-8"))["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def metrics_in(expression: str) -> set[str]:
    """Metric names of a PromQL expression, without label matchers and functions."""
    bare = re.sub(r"\{[^}]*\}|\"[^\"]*\"|\[[^\]]*\]", " ", expression)
    bare = re.sub(r"\b(by|without|on|ignoring|group_left)\s*\([^)]*\)", " ", bare)
    names = re.findall(r"[A-Za-z_]\w*(?!\s*\()\b", bare)
    return {name for name in names if "_" in name or name in {"up", "ALERTS"}} - {"histogram_quantile"}
