"""Lints deploy/ against the rest: dashboards are what their generator writes, every panel has a description and a unit,
every metric in a query is one that a worker or RabbitMQ has, every alert has a runbook and cases of both kinds."""

import json
import re
import subprocess
import sys
import tempfile
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
DASHBOARDS = ROOT / "deploy/grafana/dashboards"
# What RabbitMQ's own exporter has; the rest must be a worker's.
BROKER = re.compile(r"rabbitmq_detailed_queue_(messages|messages_ready|messages_unacked|consumers)$")
problems = []


def metrics_of_workers():
    source = (ROOT / "worker/src/metrics.rs").read_text(encoding="utf-8")
    return set(re.findall(r'"((?:sandsift|process)_[a-z_]+)"', source))


def check_query(where, query, known):
    for name in re.findall(r"\b((?:sandsift|rabbitmq|process)_[a-z_]+)\b", query):
        base = re.sub(r"_(bucket|sum|count)$", "", name)
        if name not in known and base not in known and not BROKER.match(name):
            problems.append(f"{where}: no worker has the metric {name}")


known = metrics_of_workers()
with tempfile.TemporaryDirectory() as fresh:
    subprocess.run([sys.executable, str(ROOT / "deploy/grafana/generate.py"), fresh], check=True)
    for path in Path(fresh).iterdir():
        if path.read_bytes() != (DASHBOARDS / path.name).read_bytes():
            problems.append(f"{path.name}: run deploy/grafana/generate.py")
for path in sorted(DASHBOARDS.glob("*.json")):
    dashboard = json.loads(path.read_text(encoding="utf-8"))
    for panel in dashboard["panels"]:
        if panel["type"] == "row":
            continue
        where = f"{path.name}: {panel['title']}"
        if not panel.get("description") or not panel["fieldConfig"]["defaults"].get("unit"):
            problems.append(f"{where}: has no description or no unit")
        if panel["datasource"]["uid"] != "${datasource}":
            problems.append(f"{where}: does not use the data source variable")
        for target in panel["targets"]:
            check_query(where, target["expr"], known)

rules = yaml.safe_load((ROOT / "deploy/prometheus/sandsift.rules.yml").read_text(encoding="utf-8"))
cases = (ROOT / "deploy/prometheus/sandsift.rules.test.yml").read_text(encoding="utf-8")
for rule in (rule for group in rules["groups"] for rule in group["rules"]):
    name = rule.get("alert")
    recorded = re.sub(r"\bjob:[a-z0-9_:]+", "", rule["expr"])
    check_query(name or rule["record"], recorded, known)
    if name is None:
        continue
    runbook = ROOT / rule["annotations"]["runbook_url"]
    if not runbook.exists():
        problems.append(f"{name}: no runbook {runbook.name}")
    silent = re.findall(rf'alertname="{name}", alertstate="firing"}}\'\n        eval_time: \S+\n        exp_samples: \[\]', cases)
    firing = re.findall(rf'exp_samples: \[{{labels: \'ALERTS{{alertname="{name}"', cases)
    if not silent or not firing:
        problems.append(f"{name}: needs a case that fires and one that does not")
for runbook in (ROOT / "docs/runbooks").glob("*.md"):
    if not any(rule.get("alert") == runbook.stem for group in rules["groups"] for rule in group["rules"]):
        problems.append(f"{runbook.name}: no such alert")

print("\n".join(problems), file=sys.stderr)
sys.exit(1 if problems else 0)
