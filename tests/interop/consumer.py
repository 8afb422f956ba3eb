"""A client that no one here wrote: publishes a completion with pika, and reads its analysis and matches by binding.

Usage: consumer.py AMQP-URI COMPLETION.json BINDING
Prints the routing key and the body of what arrives, one JSON object a line, until the analysis came.
"""

import json
import sys

import pika

uri, path, binding = sys.argv[1:]
completion = json.load(open(path, encoding="utf-8"))
connection = pika.BlockingConnection(pika.URLParameters(uri))
channel = connection.channel()
channel.confirm_delivery()
queue = channel.queue_declare("results.guest.interop", durable=True, arguments={"x-expires": 60000}).method.queue
for key in (binding, "analysis.#"):
    channel.queue_bind(queue, "sandbox.results", key)
channel.basic_publish(
    "sandbox.completions",
    f"completion.{completion['platform']}.interop",
    json.dumps(completion),
    pika.BasicProperties(content_type="application/json", delivery_mode=2),
    mandatory=True,
)
for method, properties, body in channel.consume(queue, inactivity_timeout=60):
    if method is None:
        sys.exit("nothing arrived within a minute")
    channel.basic_ack(method.delivery_tag)
    print(json.dumps({"key": method.routing_key, "id": properties.message_id, "event": json.loads(body)}))
    if method.routing_key.startswith("analysis."):
        break
connection.close()
