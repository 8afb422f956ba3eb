#!/usr/bin/env bash
# Writes new passwords and the broker's definitions that go with them: deploy/secrets/make.sh FOLDER
# Then: SANDSIFT_SECRETS=FOLDER docker compose up
set -euo pipefail
folder=${1:?usage: $0 FOLDER}
here=$(dirname "${BASH_SOURCE[0]}")
umask 077
mkdir -p "$folder"
for role in operator worker producer consumer grafana; do
    head -c 24 /dev/urandom | base64 | tr '+/' '-_' | tr -d '\n' > "$folder/$role-password"
done
python3 "$here/definitions.py" "$folder" > "$folder/rabbitmq-definitions.json"
echo "wrote $folder; keep it out of version control" >&2
