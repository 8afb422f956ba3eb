"""Karton consumer: analyses of sandboxes in a Karton system become completions for Sandsift.

    pip install karton-core pika
    python sandsift_karton.py --config-file karton.ini

karton.ini, beside Karton's own sections:

    [sandsift]
    uri = amqp://producer@rabbitmq:5672/%2f
    password_file = /run/secrets/producer-password
    store = fleet
    store_path = /srv/artifacts

A task is taken when its header `type` is `analysis`. Its resources are the artifacts, except the one named `sample`, which
is what was run; `platform` comes from the headers or the payload. The completion carries the task's `root_uid`, and
its `uid` as `parent_uid`, so that results are found again from Karton's side.

Karton deletes a task once this consumer returns from it, so that it returns only after the broker has confirmed.
"""

import hashlib
import json
import os
import tempfile
import uuid

import pika
from karton.core import Karton, Task

EXCHANGE = "sandbox.completions"
PLATFORMS = ("windows", "linux", "macos")


class SandsiftKarton(Karton):
    """Publishes a completion for each analysis task."""

    identity = "karton.sandsift"
    version = "1.0.0"
    persistent = True
    filters = [{"type": "analysis"}]

    def process(self, task: Task) -> None:
        completion = self.completion(task)
        if completion is None:
            self.log.info("task %s has no artifact", task.uid)
            return
        self.publish(completion)
        self.log.info("published completion %s for task %s", completion["id"], task.uid)

    def completion(self, task: Task):
        artifacts, sample = [], None
        original = task.get_payload("sample")
        for resource in task.iterate_resources():
            if resource is original:
                sample = {"sha256": resource.sha256, "name": resource.name}
                continue
            # Downloaded by the base class's backend, whole; Karton's resources are files of a run.
            artifacts.append(self.stored(resource.content))
        if not artifacts:
            return None
        sample = sample or task.get_payload("sample_info") or {"sha256": task.headers.get("sha256") or artifacts[0]["sha256"]}
        platform = task.headers.get("platform") or task.get_payload("platform") or "windows"
        return {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"karton:{task.uid}")),
            "sample": {key: value for key, value in sample.items() if value},
            "platform": platform if platform in PLATFORMS else str(platform),
            "sandbox": {"name": str(task.headers.get("kind") or "karton")},
            "root_uid": task.root_uid,
            "parent_uid": task.uid,
            "artifacts": artifacts,
        }

    def stored(self, content: bytes) -> dict:
        """Puts content into the store under its digest; a reader never sees a part of it."""
        sha256 = hashlib.sha256(content).hexdigest()
        folder = os.path.join(self.config.get("sandsift", "store_path"), sha256[:2])
        os.makedirs(folder, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=folder, prefix=".sandsift-")
        with os.fdopen(handle, "wb") as copy:
            copy.write(content)
            copy.flush()
            os.fsync(copy.fileno())
        os.chmod(beside, 0o644)
        os.replace(beside, os.path.join(folder, sha256))
        store = self.config.get("sandsift", "store", fallback="fleet")
        return {"store": store, "key": f"{sha256[:2]}/{sha256}", "sha256": sha256, "bytes": len(content)}

    def publish(self, completion: dict) -> None:
        parameters = pika.URLParameters(self.config.get("sandsift", "uri"))
        password = self.config.get("sandsift", "password_file", fallback=None)
        if password:
            with open(password, encoding="utf-8") as file:
                parameters.credentials = pika.PlainCredentials(parameters.credentials.username, file.read().strip())
        connection = pika.BlockingConnection(parameters)
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            sandbox = "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in completion["sandbox"]["name"].lower())
            channel.basic_publish(
                exchange=self.config.get("sandsift", "exchange", fallback=EXCHANGE),
                routing_key=f"completion.{completion['platform']}.{sandbox}",
                body=json.dumps(completion).encode(),
                properties=pika.BasicProperties(
                    content_type="application/json",
                    delivery_mode=2,
                    message_id=completion["id"],
                    correlation_id=completion["root_uid"],
                    app_id="karton",
                ),
                mandatory=True,
            )
        finally:
            connection.close()


if __name__ == "__main__":
    SandsiftKarton.main()
