#!/usr/bin/env bash
# The hooks into CAPE and Karton, and the documents that other people's tools read, in a virtual environment of their own.
# Prints "name: ok" or "name: failed" for each check; what cannot be run says so and counts as neither.
cd "$(dirname "${BASH_SOURCE[0]}")/../.." || exit 2
status=0
say() { if [ "$2" -eq 0 ]; then echo "$1: ok"; else echo "$1: failed"; status=1; fi; }

venv=target/python
if [ ! -x $venv/bin/check-jsonschema ] || ! $venv/bin/python -c 'import karton.core, pika' 2>/dev/null; then
    if ! python3 -m venv $venv >/dev/null 2>&1 ||
        ! $venv/bin/pip -q --disable-pip-version-check install -r tests/python/requirements.txt >/dev/null 2>&1; then
        echo "skipped: no virtual environment with tests/python/requirements.txt could be made (python3-venv, network)" >&2
        exit 0
    fi
fi

$venv/bin/check-jsonschema --builtin-schema vendor.compose-spec docker-compose.yml >/dev/null
say "docker-compose.yml is valid by the compose schema" $?
$venv/bin/check-jsonschema --check-metaschema docs/schemas/*.json >/dev/null
say "docs/schemas are valid schemas" $?
$venv/bin/python tests/python/check_deploy.py
say "dashboards, alerts and runbooks fit together" $?

if [ -x /usr/lib/rabbitmq/bin/rabbitmq-server ]; then
    (cd tests/python && "../../$venv/bin/python" -m unittest -q test_hooks)
    say "hooks into CAPE and Karton" $?
else
    echo "skipped: rabbitmq-server is not installed" >&2
fi

if command -v promtool >/dev/null 2>&1; then
    promtool check rules deploy/prometheus/sandsift.rules.yml >/dev/null
    say "alerts and recording rules are valid" $?
    (cd deploy/prometheus && promtool test rules sandsift.rules.test.yml >/dev/null)
    say "every alert fires where it should and only there" $?
else
    echo "skipped: promtool is not installed (Debian and Ubuntu: prometheus)" >&2
fi
exit $status
