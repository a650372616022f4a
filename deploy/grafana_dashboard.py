"""Writes deploy/grafana-dashboard.json: `python deploy/grafana_dashboard.py`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

FILE = Path(__file__).with_name("grafana-dashboard.json")
SOURCE = {"type": "prometheus", "uid": "${source}"}
OURS = '{job=~"$job"}'

Query = tuple[str, str]
"""PromQL and the legend."""
Panel = tuple[str, str, tuple[Query, ...]]
"""Title, unit and queries."""


def rate(metric: str, by: str = "", more: str = "") -> str:
    selected = f'{metric}{{job=~"$job"{more}}}[$__rate_interval]'
    return f"sum{f' by ({by})' if by else ''} (rate({selected}))"


def quantile(q: float, metric: str, by: str = "") -> str:
    return f"histogram_quantile({q}, {rate(f'{metric}_bucket', f'{by}, le' if by else 'le')})"


def gauge(metric: str, by: str = "") -> str:
    return f"sum{f' by ({by})' if by else ''} ({metric}{OURS})"


ROWS: tuple[tuple[str, tuple[Panel, ...]], ...] = (
    (
        "Requests",
        (
            (
                "Requests a second",
                "reqps",
                ((rate("cognate_request_seconds_count", "door, operation"), "{{door}} {{operation}}"),),
            ),
            (
                "Time of 99 in 100",
                "s",
                ((quantile(0.99, "cognate_request_seconds", "door, operation"), "{{door}} {{operation}}"),),
            ),
            (
                "Time of half",
                "s",
                ((quantile(0.5, "cognate_request_seconds", "door, operation"), "{{door}} {{operation}}"),),
            ),
            ("Answers by status", "reqps", ((rate("cognate_answers_total", "status"), "{{status}}"),)),
            (
                "Slots",
                "short",
                (
                    (gauge("cognate_slots_taken", "kind"), "{{kind}} taken"),
                    (gauge("cognate_slots_waiting", "kind"), "{{kind}} waiting"),
                ),
            ),
            ("Refused by a limit", "reqps", ((rate("cognate_rate_limited_total", "limit"), "{{limit}}"),)),
        ),
    ),
    (
        "Signing in",
        (
            ("Sign-ins by outcome", "ops", ((rate("cognate_sign_ins_total", "outcome"), "{{outcome}}"),)),
            ("Granted by pool", "ops", ((rate("cognate_sign_ins_total", "pool", ',outcome="granted"'), "{{pool}}"),)),
            ("Tokens issued", "ops", ((rate("cognate_tokens_issued_total", "kind"), "{{kind}}"),)),
            (
                "Sessions ended by a used refresh token",
                "ops",
                ((rate("cognate_refresh_token_reuse_total"), "sessions"),),
            ),
            (
                "Password hashes",
                "ops",
                (
                    (rate("cognate_hash_seconds_count"), "made"),
                    (rate("cognate_hashes_refused_total", "reason"), "refused: {{reason}}"),
                ),
            ),
            (
                "Time of a hash, and of the wait for it",
                "s",
                (
                    (quantile(0.99, "cognate_hash_seconds"), "hash, 99 in 100"),
                    (quantile(0.99, "cognate_hash_wait_seconds"), "wait, 99 in 100"),
                    (quantile(0.5, "cognate_hash_wait_seconds"), "wait, half"),
                ),
            ),
            ("Hashes that wait", "short", ((gauge("cognate_hashes_waiting"), "waiting"),)),
            ("Messages", "ops", ((rate("cognate_messages_total", "channel, outcome"), "{{channel}} {{outcome}}"),)),
        ),
    ),
    (
        "Database and cache",
        (
            (
                "Time of a statement",
                "s",
                (
                    (quantile(0.99, "cognate_database_statement_seconds"), "99 in 100"),
                    (quantile(0.5, "cognate_database_statement_seconds"), "half"),
                ),
            ),
            ("Statements a second", "ops", ((rate("cognate_database_statement_seconds_count"), "statements"),)),
            (
                "Connections",
                "short",
                (
                    (gauge("cognate_database_pool_size"), "allowed"),
                    (gauge("cognate_database_pool_open"), "open"),
                    (gauge("cognate_database_pool_checked_out"), "in use"),
                ),
            ),
            ("Outages", "ops", ((rate("cognate_outages_total", "kind"), "{{kind}}"),)),
            (
                "Configuration cache",
                "ops",
                (
                    (rate("cognate_cache_hits_total"), "hits"),
                    (rate("cognate_cache_misses_total"), "misses"),
                    (rate("cognate_cache_drops_total"), "drops"),
                ),
            ),
            ("Expired rows deleted", "ops", ((rate("cognate_swept_rows_total", "table"), "{{table}}"),)),
            (
                "Sweeps",
                "s",
                (
                    (f"{rate('cognate_sweep_seconds_total')} / {rate('cognate_sweeps_total')}", "time of a sweep"),
                    (f"time() - max(cognate_last_sweep_timestamp_seconds{OURS})", "since the last"),
                ),
            ),
        ),
    ),
    (
        "Processes",
        (
            (
                "Version",
                "short",
                ((f"max by (version, python) (cognate_build_info{OURS})", "{{version}}, Python {{python}}"),),
            ),
            ("Processes", "short", ((gauge("cognate_processes", "instance"), "{{instance}}"),)),
            ("Cores in use", "short", ((rate("cognate_process_cpu_seconds_total", "instance"), "{{instance}}"),)),
            (
                "Resident memory",
                "bytes",
                ((gauge("cognate_process_resident_memory_bytes", "instance, pid"), "{{instance}} {{pid}}"),),
            ),
            (
                "Open files",
                "short",
                (
                    (gauge("cognate_process_open_fds", "instance, pid"), "{{instance}} {{pid}}"),
                    (f"min(cognate_process_max_fds{OURS})", "allowed"),
                ),
            ),
            ("Threads", "short", ((gauge("cognate_process_threads", "instance, pid"), "{{instance}} {{pid}}"),)),
            ("Age", "s", ((f"time() - cognate_process_start_time_seconds{OURS}", "{{instance}} {{pid}}"),)),
        ),
    ),
)
WIDTH, HEIGHT, IN_A_ROW = 8, 8, 3


def dashboard() -> dict[str, Any]:
    panels: list[dict[str, Any]] = []
    y = 0
    for title, row in ROWS:
        panels.append(
            {"id": len(panels) + 1, "type": "row", "title": title, "gridPos": {"x": 0, "y": y, "w": 24, "h": 1}}
        )
        y += 1
        for n, (name, unit, queries) in enumerate(row):
            x = n % IN_A_ROW * WIDTH
            panels.append(_panel(len(panels) + 1, name, unit, queries, x=x, y=y + n // IN_A_ROW * HEIGHT))
        y += -(-len(row) // IN_A_ROW) * HEIGHT
    return {
        "uid": "cognate",
        "title": "Cognate",
        "tags": ["cognate"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "30s",
        "time": {"from": "now-3h", "to": "now"},
        "templating": {
            "list": [
                {"name": "source", "label": "Data source", "type": "datasource", "query": "prometheus"},
                {
                    "name": "job",
                    "label": "Job",
                    "type": "query",
                    "datasource": SOURCE,
                    "query": "label_values(cognate_processes, job)",
                    "refresh": 2,
                    "multi": True,
                    "includeAll": True,
                },
            ]
        },
        "panels": panels,
    }


def _panel(number: int, title: str, unit: str, queries: tuple[Query, ...], *, x: int, y: int) -> dict[str, Any]:
    return {
        "id": number,
        "type": "timeseries",
        "title": title,
        "datasource": SOURCE,
        "gridPos": {"x": x, "y": y, "w": WIDTH, "h": HEIGHT},
        "fieldConfig": {"defaults": {"unit": unit, "min": 0}, "overrides": []},
        "options": {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi"}},
        "targets": [
            {"refId": chr(ord("A") + n), "datasource": SOURCE, "expr": expression, "legendFormat": legend}
            for n, (expression, legend) in enumerate(queries)
        ],
    }


def written() -> str:
    return json.dumps(dashboard(), indent=1) + "\n"


if __name__ == "__main__":
    FILE.write_text(written())
