#!/usr/bin/env bash
# Holds the golden OCSF and ECS documents to what others published: py-ocsf-models (PyPI) and @elastic/ecs (npm).
# Says that it was skipped, and ends well, where Python's venv or npm is missing or the packages cannot be had.
set -eu
top=$(cd "$(dirname "$0")/../.." && pwd)
golden=$top/worker/tests/golden
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

if python3 -m venv "$work/venv" >/dev/null 2>&1 && "$work/venv/bin/pip" -q install 'py-ocsf-models>=0.10,<1' >/dev/null 2>&1; then
    "$work/venv/bin/python" - "$golden/ocsf.json" <<'PY'
import json, sys
from py_ocsf_models.events.findings.detection_finding import DetectionFinding
finding = json.load(open(sys.argv[1]))
read = DetectionFinding(**finding)
assert read.type_uid == finding["class_uid"] * 100 + finding["activity_id"]
print("ocsf: the golden finding is a DetectionFinding of py-ocsf-models")
PY
else
    echo "ocsf: skipped, py-ocsf-models is not to be had"
fi

if (cd "$work" && npm init -y && npm install @elastic/ecs@9.4.0) >/dev/null 2>&1; then
    cp "$golden/ecs.json" "$work/document.json"
    node "$top/tests/interop/ecs.mjs" "$work" document.json
else
    echo "ecs: skipped, npm or @elastic/ecs is not to be had"
fi
