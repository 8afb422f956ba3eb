"""Starts a RabbitMQ of the tests' own, on ports of its own, and puts an end to it. Not for use beside tests."""

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from pathlib import Path

import pika

SCRIPTS = Path("/usr/lib/rabbitmq/bin")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def broker():
    """Gives the address of a broker with the exchange of completions and a queue bound to all of it; None without RabbitMQ."""
    if not (SCRIPTS / "rabbitmq-server").exists():
        yield None
        return
    folder = Path(tempfile.mkdtemp(prefix="sandsift-rabbitmq-"))
    port, dist, epmd = free_port(), free_port(), free_port()
    (folder / "rabbitmq.conf").write_text(f"listeners.tcp.1 = 127.0.0.1:{port}\nloopback_users = none\n")
    (folder / "plugins").write_text("[].\n")
    (folder / "env.conf").write_text("")
    environment = {
        "PATH": os.environ["PATH"],
        "LANG": "C.UTF-8",
        "HOME": str(folder),
        "ERL_EPMD_PORT": str(epmd),
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_NODENAME": f"sandsift-{secrets.token_hex(4)}@localhost",
        "RABBITMQ_DIST_PORT": str(dist),
        "RABBITMQ_MNESIA_BASE": str(folder / "mnesia"),
        "RABBITMQ_LOG_BASE": str(folder / "log"),
        "RABBITMQ_CONFIG_FILE": str(folder / "rabbitmq.conf"),
        "RABBITMQ_CONF_ENV_FILE": str(folder / "env.conf"),
        "RABBITMQ_ENABLED_PLUGINS_FILE": str(folder / "plugins"),
        "RABBITMQ_PID_FILE": str(folder / "pid"),
    }
    log = (folder / "server.log").open("wb")
    server = subprocess.Popen(
        [str(SCRIPTS / "rabbitmq-server")], env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
    )
    try:
        address = f"amqp://guest:guest@127.0.0.1:{port}/%2f"
        connection = wait_for(address, server, folder)
        channel = connection.channel()
        channel.exchange_declare("sandbox.completions", "topic", durable=True)
        channel.queue_declare("taken", durable=True)
        channel.queue_bind("taken", "sandbox.completions", "completion.#")
        connection.close()
        yield address
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, signal.SIGKILL)
        server.wait()
        subprocess.run(["epmd", "-port", str(epmd), "-kill"], capture_output=True, check=False)
        log.close()
        shutil.rmtree(folder, ignore_errors=True)


def wait_for(address, server, folder):
    deadline = time.monotonic() + 90
    while True:
        with contextlib.suppress(pika.exceptions.AMQPError, OSError):
            return pika.BlockingConnection(pika.URLParameters(address))
        if server.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError("RabbitMQ did not start: " + (folder / "server.log").read_text(errors="replace")[-2000:])
        time.sleep(0.5)


def take(address):
    """The next message of the queue `taken`: routing key, properties, body; None where it is empty."""
    connection = pika.BlockingConnection(pika.URLParameters(address))
    try:
        method, properties, body = connection.channel().basic_get("taken", auto_ack=True)
        return None if method is None else (method.routing_key, properties, body)
    finally:
        connection.close()
