"""Prints every high and critical match: python consumer.py amqp://consumer:PASSWORD@localhost:5672/%2f"""

import json
import sys

import pika

connection = pika.BlockingConnection(pika.URLParameters(sys.argv[1]))
channel = connection.channel()
# A bounded queue of one's own that drops its oldest: a slow consumer must not hold the fleet back.
queue = f"results.{connection._impl.params.credentials.username}.example"
channel.queue_declare(queue, auto_delete=True, arguments={"x-max-length": 10_000, "x-overflow": "drop-head"})
for level in ("high", "critical"):
    channel.queue_bind(queue, "sandbox.results", f"match.*.{level}.#")
print("waiting for matches", file=sys.stderr, flush=True)
for method, _, body in channel.consume(queue):
    match = json.loads(body)["data"]
    print(f"{match['rule_level']:9}{match['sample']['sha256'][:12]}  {match['rule_title']} ({match['count']})", flush=True)
    channel.basic_ack(method.delivery_tag)
