"""The hooks into CAPE and Karton publish completions that the schema validates, through the real pika to a real broker.

CAPE's base class is not published as a package: a stand-in has the members that the module uses. Karton is the real
karton-core, with its own test kit in place of Redis and S3.
"""

import hashlib
import importlib.util
import json
import sys
import tempfile
import types
import unittest
from pathlib import Path

import jsonschema

from broker import broker, take

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads((ROOT / "docs/schemas/completion.json").read_text(encoding="utf-8"))


def validate(completion):
    jsonschema.validate(completion, SCHEMA, cls=jsonschema.Draft7Validator)


def load(path, name):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cape_module():
    class Report:
        """What the module uses of CAPE's own class."""

    class CuckooReportError(Exception):
        """As CAPE's own."""

    for name in ("lib", "lib.cuckoo", "lib.cuckoo.common", "lib.cuckoo.common.abstracts", "lib.cuckoo.common.exceptions"):
        sys.modules.setdefault(name, types.ModuleType(name))
    sys.modules["lib.cuckoo.common.abstracts"].Report = Report
    sys.modules["lib.cuckoo.common.exceptions"].CuckooReportError = CuckooReportError
    return load(ROOT / "deploy/cape/sandsift.py", "cape_sandsift")


class Hooks(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.stack = broker()
        cls.address = cls.stack.__enter__()
        if cls.address is None:
            raise unittest.SkipTest("rabbitmq-server is not installed")

    @classmethod
    def tearDownClass(cls):
        cls.stack.__exit__(None, None, None)

    def setUp(self):
        self.folder = tempfile.TemporaryDirectory()
        self.addCleanup(self.folder.cleanup)
        self.path = Path(self.folder.name)

    def cape(self, **options):
        module = cape_module()
        report = module.Sandsift()
        report.analysis_path = str(self.path / "17")
        report.options = {"uris": self.address, "store": "fleet", "store_path": str(self.path / "store"), "node": "node1", **options}
        return module, report

    RESULTS = {
        "info": {"id": 17, "version": "2.4-CAPE", "package": "exe", "started": "2026-03-10 08:30:00", "ended": "2026-03-10 08:33:00",
                 "machine": {"name": "win10x64-1", "platform": "windows"}},
        "target": {"category": "file", "file": {"sha256": "ab" * 32, "md5": "cd" * 16, "name": "invoice.exe"}},
    }

    def test_cape_publishes_event_logs_by_claim_check(self):
        _, report = self.cape()
        log = self.path / "17/evtx/evtx.zip"
        log.parent.mkdir(parents=True)
        log.write_bytes(b"PK\x03\x04 a zip")
        report.run(self.RESULTS)
        key, properties, body = take(self.address)
        event = json.loads(body)
        completion = event["data"]
        validate(completion)
        self.assertEqual(key, "completion.windows.cape")
        self.assertEqual((properties.content_type, properties.delivery_mode), ("application/cloudevents+json", 2))
        self.assertEqual(properties.message_id, completion["id"])
        self.assertEqual(event["id"], completion["id"])
        self.assertEqual(completion["started"], "2026-03-10T08:30:00Z")
        [artifact] = completion["artifacts"]
        stored = (self.path / "store" / artifact["key"]).read_bytes()
        self.assertEqual(stored, b"PK\x03\x04 a zip")
        self.assertEqual(artifact["sha256"], hashlib.sha256(stored).hexdigest())
        report.run(self.RESULTS)
        self.assertEqual(json.loads(take(self.address)[2])["id"], completion["id"], "a second report is the same completion")

    def test_cape_takes_the_report_where_no_log_is_there_and_nothing_where_nothing_is(self):
        _, report = self.cape()
        (self.path / "17/reports").mkdir(parents=True)
        report.run(self.RESULTS)
        self.assertIsNone(take(self.address))
        (self.path / "17/reports/lite.json").write_text("{}")
        report.run({"info": {"id": "18"}, "target": {"category": "url", "url": "http://example.net/"}})
        completion = json.loads(take(self.address)[2])["data"]
        validate(completion)
        self.assertEqual(completion["sample"]["type"], "url")

    def test_cape_says_what_failed(self):
        module, report = self.cape(exchange="no.such.exchange")
        (self.path / "17/evtx").mkdir(parents=True)
        (self.path / "17/evtx/evtx.zip").write_bytes(b"x")
        with self.assertRaisesRegex(module.CuckooReportError, "no.such.exchange"):
            report.run(self.RESULTS)

    def test_karton_carries_the_tree_of_tasks_through(self):
        from karton.core import Task
        from karton.core.test import BackendMock, ConfigMock, TestResource

        module = load(ROOT / "deploy/karton/sandsift_karton.py", "sandsift_karton")
        config = ConfigMock()
        section = {"uri": self.address, "store": "fleet", "store_path": str(self.path / "store")}
        get = config.get
        config.get = lambda name, option, fallback=None: section.get(option, fallback) if name == "sandsift" else get(name, option, fallback)
        karton = module.SandsiftKarton(config=config, backend=BackendMock())
        sample = TestResource("invoice.exe", b"MZ")
        task = Task(
            {"type": "analysis", "kind": "drakrun"},
            payload={"sample": sample, "log": TestResource("procmon.log", b'{"a": 1}\n'), "platform": "windows"},
            root_uid="root-1",
        )
        karton.process(task)
        key, properties, body = take(self.address)
        completion = json.loads(body)
        validate(completion)
        self.assertEqual(key, "completion.windows.drakrun")
        self.assertEqual((completion["root_uid"], completion["parent_uid"]), ("root-1", task.uid))
        self.assertEqual(properties.correlation_id, "root-1")
        self.assertEqual(completion["sample"]["sha256"], hashlib.sha256(b"MZ").hexdigest())
        [artifact] = completion["artifacts"]
        self.assertEqual((self.path / "store" / artifact["key"]).read_bytes(), b'{"a": 1}\n')


if __name__ == "__main__":
    unittest.main()
