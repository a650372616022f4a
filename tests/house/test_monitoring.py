"""The dashboard and the alerts in deploy/ name metrics that there are, and the dashboard shows all of them."""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from app import metrics
from app.config import Settings
from app.metrics.exposition import exposition
from app.metrics.instruments import INSTRUMENTS, Histogram

DEPLOY = Path(__file__).parents[2] / "deploy"
DOCUMENTED = (DEPLOY.parent / "docs" / "monitoring.md").read_text()
DASHBOARD = json.loads((DEPLOY / "grafana-dashboard.json").read_text())
RULES = yaml.safe_load((DEPLOY / "prometheus-rules.yaml").read_text())
NAME = re.compile(r"\bcognate_[a-z_]+")
EXPOSED = {metrics.PROCESSES} | {
    f"{name}{suffix}"
    for name, one in INSTRUMENTS.items()
    for suffix in (("_bucket", "_sum", "_count") if isinstance(one, Histogram) else ("",))
}


def shown() -> list[str]:
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]


def alerts() -> list[str]:
    return [rule["expr"] for group in RULES["groups"] for rule in group["rules"]]


@pytest.fixture
def promtool() -> str:
    found = shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool: run `make deploy-tools` as root, or apt-get install prometheus")
    return found


def test_every_metric_that_is_named_exists() -> None:
    named = {name for expression in (*shown(), *alerts()) for name in NAME.findall(expression)}
    assert named and named <= EXPOSED


def test_every_metric_is_shown_and_documented() -> None:
    base = {re.sub("_(bucket|sum|count)$", "", name) for name in EXPOSED}
    seen = {re.sub("_(bucket|sum|count)$", "", name) for expression in shown() for name in NAME.findall(expression)}
    assert base - seen == set()
    assert base == set(re.findall(r"`(cognate_[a-z_]+)`", DOCUMENTED))


def test_labels_that_are_named_exist() -> None:
    for expression in (*shown(), *alerts()):
        of_all = {"job", "instance", "le"} | {
            label for name, one in INSTRUMENTS.items() if name in expression for label in one.labels
        }
        for labels in re.findall(r"by \(([^)]*)\)", expression):
            assert set(re.split(r", ?", labels)) <= of_all, expression
        for label in re.findall(r"[{,]\s*(\w+)=", expression):
            assert label in of_all, expression


def test_the_dashboard_is_what_its_program_writes() -> None:
    spec = importlib.util.spec_from_file_location("grafana_dashboard", DEPLOY / "grafana_dashboard.py")
    assert spec is not None and spec.loader is not None
    program: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(program)
    assert (DEPLOY / "grafana-dashboard.json").read_text() == program.written()
    panels = DASHBOARD["panels"]
    assert [panel["id"] for panel in panels] == list(range(1, len(panels) + 1))
    places = [(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels]
    assert len(places) == len(set(places))


def test_prometheus_takes_the_alerts(promtool: str) -> None:
    done = subprocess.run(
        [promtool, "check", "rules", DEPLOY / "prometheus-rules.yaml"], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


def test_prometheus_takes_every_query_of_the_dashboard(promtool: str, tmp_path: Path) -> None:
    """As recording rules: promtool has no other way to look at a query alone."""
    written = [expression.replace("$__rate_interval", "1m") for expression in shown()]
    rules = [{"record": f"panel:{number}", "expr": expression} for number, expression in enumerate(written)]
    file = tmp_path / "rules.yaml"
    file.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = subprocess.run([promtool, "check", "rules", file], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


def test_prometheus_takes_what_is_exposed(promtool: str, tmp_path: Path) -> None:
    metrics.start(Settings(mode="development", data_dir=tmp_path, admin_port=9), version="1")
    try:
        for one in INSTRUMENTS.values():
            example = tuple("x" for _ in one.labels)
            one.cells[example] = one._empty()
        metrics.share()
        exposed = exposition()
    finally:
        metrics.stop()
    done = subprocess.run([promtool, "check", "metrics"], input=exposed, capture_output=True)
    assert done.returncode == 0, done.stderr + done.stdout
