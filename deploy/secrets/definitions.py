#!/usr/bin/env python3
"""Prints RabbitMQ's definitions for the four roles, from the passwords in a folder: definitions.py FOLDER.

Each role has the rights that docs/contract.md gives it and no more. Policies hold sizes and ages; what the guarantee
hangs on are arguments of the queues, which `sandsift topology apply` declares.
"""

import base64
import hashlib
import json
import sys
from pathlib import Path

RIGHTS = {
    "operator": (".*", ".*", ".*"),
    # Nothing to configure; results, retries and dead letters out, completions in.
    "worker": ("^$", r"^(sandbox\.results|sandsift\.retry\..*|sandsift\.dead)$", r"^sandsift\.completions\..*$"),
    "producer": ("^$", r"^sandbox\.completions$", "^$"),
    "consumer": (r"^results\.consumer\..*$", r"^results\.consumer\..*$", r"^(results\.consumer\..*|sandbox\.results|sandsift\.results)$"),
}


def hashed(role: str, password: str) -> str:
    """RabbitMQ's salted SHA-256. The salt follows from role and password, so that the output is the same every time."""
    salt = hashlib.sha256(f"{role}:{password}".encode()).digest()[:4]
    return base64.b64encode(salt + hashlib.sha256(salt + password.encode()).digest()).decode()


def main() -> None:
    folder = Path(sys.argv[1])
    users, permissions = [], []
    for role, (configure, write, read) in RIGHTS.items():
        password = (folder / f"{role}-password").read_text(encoding="utf-8").strip()
        users.append({
            "name": role,
            "password_hash": hashed(role, password),
            "hashing_algorithm": "rabbit_password_hashing_sha256",
            "tags": ["administrator"] if role == "operator" else [],
        })
        permissions.append({"user": role, "vhost": "/", "configure": configure, "write": write, "read": read})
    policy = {
        "vhost": "/",
        "name": "sandsift-results",
        "pattern": r"^sandsift\.results$",
        "apply-to": "streams",
        "priority": 0,
        "definition": {"max-age": "7D", "max-length-bytes": 20_000_000_000},
    }
    definitions = {"vhosts": [{"name": "/"}], "users": users, "permissions": permissions, "policies": [policy]}
    print(json.dumps(definitions, indent=2))


if __name__ == "__main__":
    main()
