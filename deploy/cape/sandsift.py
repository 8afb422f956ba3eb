"""Reporting module for CAPEv2: when an analysis ends, its completion goes to Sandsift.

Copy this file to modules/reporting/ and add to conf/reporting.conf:

    [sandsift]
    enabled = yes
    uris = amqp://producer@rabbitmq:5672/%2f
    password_file = /etc/cape/sandsift-password
    # The folder that workers know as this store (stores.NAME); shared with them, or synchronised to theirs.
    store = fleet
    store_path = /srv/artifacts
    # platform of guests whose task does not say it
    platform = windows

Needs pika. Artifacts are copied into the store under their SHA-256, then one message is published, confirmed and
mandatory. The id follows from node and task, so that a report made twice is the same completion.
"""

import hashlib
import json
import logging
import os
import shutil
import socket
import tempfile
import uuid
from datetime import datetime, timezone

import pika
from lib.cuckoo.common.abstracts import Report
from lib.cuckoo.common.exceptions import CuckooReportError

log = logging.getLogger(__name__)

# What a run leaves, by its place below the analysis folder. The report comes last: it is asked for only where no log of
# events is there, since it tells much of the same again.
EVENT_LOGS = ("evtx/evtx.zip", "sysmon/sysmon.xml", "sysmon/sysmon.data")
REPORTS = ("reports/report.json", "reports/lite.json")
EXCHANGE = "sandbox.completions"
ATTEMPTS = 5


class Sandsift(Report):
    """Publishes a completion for each analysis."""

    # After the reports that it sends were written.
    order = 9999

    def run(self, results):
        try:
            completion = self.completion(results)
            if completion is None:
                log.info("sandsift: the analysis left nothing that can be matched")
                return
            self.publish(completion)
            log.info("sandsift: published completion %s", completion["id"])
        except (OSError, ValueError, pika.exceptions.AMQPError) as error:
            raise CuckooReportError(f"sandsift: {type(error).__name__}: {error}") from error

    def completion(self, results):
        info = results.get("info") or {}
        artifacts = [self.stored(path) for path in self.artifacts()]
        if not artifacts:
            return None
        machine = info.get("machine") or {}
        file = (results.get("target") or {}).get("file") or {}
        node = self.options.get("node") or socket.gethostname()
        sample = {"sha256": file.get("sha256"), "md5": file.get("md5"), "name": file.get("name"), "type": info.get("package")}
        if not sample["sha256"]:
            # A URL was detonated: the sample is its address.
            url = str((results.get("target") or {}).get("url") or "")
            sample.update(sha256=hashlib.sha256(url.encode()).hexdigest(), name=url or None, type="url")
        name = sample["name"]
        sample["name"] = name.decode("utf-8", "replace") if isinstance(name, bytes) else name
        completion = {
            "id": str(uuid.uuid5(uuid.NAMESPACE_URL, f"cape://{node}/{info.get('id')}")),
            "sample": without_none(sample),
            "platform": str(machine.get("platform") or info.get("platform") or self.options.get("platform") or "windows"),
            "sandbox": without_none({"name": "cape", "version": info.get("version"), "machine": machine.get("name") or machine.get("label")}),
            "started": rfc3339(info.get("started")),
            "finished": rfc3339(info.get("ended")),
            "root_uid": str(info["id"]) if info.get("id") is not None else None,
            "artifacts": artifacts,
        }
        return without_none(completion)

    def artifacts(self):
        found = [name for name in EVENT_LOGS if self.has(name)]
        # The zip holds Sysmon's log, too.
        if EVENT_LOGS[0] in found:
            found = found[:1]
        return found or [name for name in REPORTS if self.has(name)][:1]

    def has(self, name):
        path = os.path.join(self.analysis_path, name)
        return os.path.isfile(path) and os.path.getsize(path) > 0

    def stored(self, name):
        """Copies an artifact into the store under its digest; a reader never sees a part of it."""
        path = os.path.join(self.analysis_path, name)
        root = self.options["store_path"]
        os.makedirs(root, exist_ok=True)
        handle, beside = tempfile.mkstemp(dir=root, prefix=".sandsift-")
        try:
            digest, size = hashlib.sha256(), 0
            with open(path, "rb") as source, os.fdopen(handle, "wb") as copy:
                while chunk := source.read(1 << 20):
                    digest.update(chunk)
                    size += len(chunk)
                    copy.write(chunk)
                copy.flush()
                os.fsync(copy.fileno())
            sha256 = digest.hexdigest()
            folder = os.path.join(root, sha256[:2])
            os.makedirs(folder, exist_ok=True)
            os.chmod(beside, 0o644)
            shutil.move(beside, os.path.join(folder, sha256))
        except BaseException:
            if os.path.exists(beside):
                os.unlink(beside)
            raise
        return {"store": self.options.get("store") or "fleet", "key": f"{sha256[:2]}/{sha256}", "sha256": sha256, "bytes": size}

    def publish(self, completion):
        """Publishes until the broker has confirmed; what it returns is an error, not a loss."""
        event = {
            "specversion": "1.0",
            "id": completion["id"],
            "source": "/sandsift/cape",
            "type": "sandsift.completion.v1",
            "subject": completion["sample"]["sha256"],
            "datacontenttype": "application/json",
            "data": completion,
        }
        properties = pika.BasicProperties(
            content_type="application/cloudevents+json",
            delivery_mode=2,
            message_id=completion["id"],
            type="sandsift.completion.v1",
            app_id="cape",
            timestamp=int(datetime.now(timezone.utc).timestamp()),
        )
        parameters = []
        for uri in self.options["uris"].split(","):
            one = pika.URLParameters(uri.strip())
            password = self.options.get("password_file")
            if password:
                with open(password, encoding="utf-8") as file:
                    one.credentials = pika.PlainCredentials(one.credentials.username, file.read().strip())
            one.connection_attempts, one.retry_delay = ATTEMPTS, 2
            parameters.append(one)
        connection = pika.BlockingConnection(parameters)
        try:
            channel = connection.channel()
            channel.confirm_delivery()
            channel.basic_publish(
                exchange=self.options.get("exchange") or EXCHANGE,
                routing_key=f"completion.{word(completion['platform'])}.cape",
                body=json.dumps(event).encode(),
                properties=properties,
                mandatory=True,
            )
        finally:
            if connection.is_open:
                connection.close()


def word(text):
    """One word of a routing key."""
    return "".join(c if c.isascii() and (c.isalnum() or c in "_-") else "_" for c in text.lower()) or "none"


def without_none(mapping):
    return {key: value for key, value in mapping.items() if value is not None}


def rfc3339(text):
    """CAPE's times have no zone; its own clock is taken for UTC."""
    if not text:
        return None
    try:
        time = text if isinstance(text, datetime) else datetime.strptime(str(text), "%Y-%m-%d %H:%M:%S")
    except ValueError:
        return None
    return time.replace(tzinfo=timezone.utc).isoformat().replace("+00:00", "Z")
