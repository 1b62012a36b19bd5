"""Every alert, at its border and after it, by promtool; and that each tells its reader what to do."""

import re
from dataclasses import dataclass
from pathlib import Path

import pytest
import yaml

from tests.conftest import PROJECT
from tests.deploy.monitoring import PROMETHEUS, RULES, alerts, run, tool

STEP_S = 15


def held(*steps: tuple[float, int]) -> str:
    """`(value, seconds)` after each other, in promtool's notation."""
    return " ".join(f"{value}x{seconds // STEP_S - 1}" for value, seconds in steps)


@dataclass(frozen=True, kw_only=True)
class Case:
    """Series, and at which second the alert must fire or be silent."""

    series: dict[str, str]
    silent_at: tuple[int, ...]
    firing_at: tuple[int, ...]


def gauge(name: str, *, border: float, wait_s: int, quiet: float) -> Case:
    """At the border for a while, above it, and quiet again."""
    above = border + 1
    values = held((border, 900), (above, wait_s + 300), (quiet, 600))
    return Case(
        series={name: values},
        silent_at=(885, *((900 + wait_s - STEP_S,) if wait_s else ()), 900 + wait_s + 300),
        firing_at=(900 + wait_s, 900 + wait_s + 285),
    )


CASES = {
    "KeylineServiceDown": Case(
        series={'up{job="keyline", instance="outage:8080"}': held((1, 600), (0, 120), (1, 300))},
        silent_at=(585, 645, 720), firing_at=(660, 705),
    ),
    "KeylineNothingScraped": Case(
        series={'up{job="keyline", instance="outage:8080"}': f"{held((1, 600))} stale _x39 1x20"},
        silent_at=(600, 885, 1215), firing_at=(900, 1185),
    ),
    "KeylineServiceRestarting": Case(
        series={'process_start_time_seconds{job="keyline", instance="a"}': held(
            (1, 300), (2, 300), (3, 300), (4, 300), (4, 900))},
        silent_at=(885, 1500), firing_at=(900, 1185),
    ),
    "KeylineDependencyAway": Case(
        series={'keyline_dependency_up{service="outage", what="database"}': held((1, 600), (0, 120), (1, 300))},
        silent_at=(585, 645, 720), firing_at=(660, 705),
    ),
    "KeylineConsumerStopped": gauge(
        'keyline_poll_loop_age_seconds{service="s", loop="single"}', border=30, wait_s=30, quiet=0
    ),
    "KeylinePartitionStopped": gauge('keyline_breaker_open{service="s", topic="t"}', border=0, wait_s=0, quiet=0),
    "KeylineConsumerBehind": gauge(
        'keyline_oldest_unprocessed_event_seconds{service="s"}', border=300, wait_s=120, quiet=0
    ),
    "KeylineOutboxGrowing": gauge('keyline_outbox_oldest_seconds{service="s"}', border=60, wait_s=60, quiet=0),
    "KeylineDeadLetters": gauge('keyline_dead_letters{service="s"}', border=0, wait_s=60, quiet=0),
    "KeylineWaitingReferences": gauge('keyline_waiting_oldest_seconds{service="s"}', border=900, wait_s=60, quiet=0),
    "KeylineJobFailing": Case(
        series={'keyline_job_failures_total{service="s", job="j"}': held((0, 300), (1, 300), (2, 300), (3, 1200))},
        silent_at=(885, 1500), firing_at=(915, 1185),
    ),
    "KeylineHandlerSlow": Case(
        series={
            'keyline_handler_seconds_bucket{service="s", topic="t", le="2.5"}': "0+99x80 7920+98x80 15760+100x80",
            'keyline_handler_seconds_bucket{service="s", topic="t", le="5"}': "0+100x80 8000+100x80 16000+100x80",
            'keyline_handler_seconds_bucket{service="s", topic="t", le="+Inf"}': "0+100x80 8000+100x80 16000+100x80",
        },
        silent_at=(1200, 3000), firing_at=(1800, 2400),
    ),
    "KeylineHttpErrors": Case(
        series={
            'keyline_http_seconds_count{service="s", route="/s/v1/a", status="200"}': "0+98x80 7840+97x80 15600+100x80",
            'keyline_http_seconds_count{service="s", route="/s/v1/a", status="503"}': "0+2x80 160+3x80 400+0x80",
            'keyline_http_seconds_count{service="s", route="/readyz", status="503"}': "0+90x240",
        },
        silent_at=(1200, 3000), firing_at=(1800, 2400),
    ),
    "KeylineFaultMessageSlow": Case(
        series={
            'keyline_notify_fault_to_accept_seconds_bucket{le="60"}': "0+995x80 79600+980x80 158000+1000x120",
            'keyline_notify_fault_to_accept_seconds_bucket{le="300"}': "0+1000x80 80000+1000x80 160000+1000x120",
            'keyline_notify_fault_to_accept_seconds_bucket{le="+Inf"}': "0+1000x80 80000+1000x80 160000+1000x120",
        },
        silent_at=(1200, 3600), firing_at=(2130, 2400),
    ),
    "KeylineMessagesFailing": Case(
        series={
            'keyline_notify_deliveries_total{channel="c", outcome="accepted"}': "0+9x80 720+8x80 1360+10x120",
            'keyline_notify_deliveries_total{channel="c", outcome="failed"}': "0+1x80 80+2x80 240+0x120",
        },
        silent_at=(1200, 3600), firing_at=(1800, 2400),
    ),
    "KeylinePlannedOutageUntold": gauge("keyline_outage_planned_untold", border=0, wait_s=900, quiet=0),
    "KeylineCustomersWithoutOwner": gauge("keyline_notify_customers_without_owner", border=0, wait_s=300, quiet=0),
    "KeylineQuestionsUnanswered": gauge("keyline_notify_conversation_overdue", border=0, wait_s=1800, quiet=0),
    "KeylineCalendarEnds": Case(
        series={"keyline_notify_calendar_days_left": held((20, 900), (19, 600), (380, 600))},
        silent_at=(885, 1185, 1500), firing_at=(1200, 1485),
    ),
}  # fmt: skip


def test_every_alert_is_shown_to_fire_here() -> None:
    assert set(CASES) == set(alerts())


def test_prometheus_accepts_rules_and_configuration() -> None:
    assert "SUCCESS" in run(tool("promtool"), "check", "rules", RULES)
    assert "SUCCESS" in run(tool("promtool"), "check", "config", PROMETHEUS / "prometheus.yml")


@pytest.mark.parametrize("alert", sorted(CASES))
def test_an_alert_is_silent_at_its_border_fires_above_it_and_clears(alert: str, tmp_path: Path) -> None:
    case = CASES[alert]
    fires = f'count by (alertname) (ALERTS{{alertname="{alert}", alertstate="firing"}})'
    expectations = [
        {"expr": fires, "eval_time": f"{at}s", "exp_samples": samples}
        for times, samples in (
            (case.silent_at, []),
            (case.firing_at, [{"labels": f'{{alertname="{alert}"}}', "value": 1}]),
        )
        for at in times
    ]
    series = [{"series": name, "values": values} for name, values in case.series.items()]
    test = {"interval": f"{STEP_S}s", "input_series": series, "promql_expr_test": expectations}
    file = tmp_path / "test.yml"
    file.write_text(yaml.safe_dump({"rule_files": [str(RULES)], "evaluation_interval": f"{STEP_S}s", "tests": [test]}))
    run(tool("promtool"), "test", "rules", file)


def test_every_alert_has_a_section_in_the_runbook_that_its_annotation_names() -> None:
    runbook = (PROJECT / "docs" / "runbook.md").read_text(encoding="utf-8")
    sections = re.findall(r"^### (Keyline\w+)$", runbook, flags=re.M)
    assert sections == sorted(set(sections), key=sections.index)
    assert set(sections) == set(alerts())
    for name, rule in alerts().items():
        assert rule["annotations"]["runbook_url"] == f"docs/runbook.md#{name.lower()}"
        assert re.search(r"[一-鿿].*。 [A-Z{]", rule["annotations"]["summary"]), f"{name}: Chinese, then English"
        body = runbook.split(f"### {name}\n", 1)[1].split("\n#", 1)[0]
        for part in ("**What it means.**", "**What to do.**"):
            assert part in body, f"{name} lacks {part}"
