// Prints every high and critical match: node consumer.mjs amqp://consumer:PASSWORD@localhost:5672/%2f
// Needs: npm install amqplib
import amqp from "amqplib";

const url = process.argv[2];
const user = decodeURIComponent(new URL(url).username || "guest");
const connection = await amqp.connect(url);
const channel = await connection.createChannel();
// A bounded queue of one's own that drops its oldest: a slow consumer must not hold the fleet back.
const queue = `results.${user}.example-node`;
await channel.assertQueue(queue, { autoDelete: true, durable: false, maxLength: 10_000, arguments: { "x-overflow": "drop-head" } });
for (const level of ["high", "critical"]) await channel.bindQueue(queue, "sandbox.results", `match.*.${level}.#`);
console.error("waiting for matches");
await channel.consume(queue, (message) => {
  const match = JSON.parse(message.content).data;
  console.log(`${match.rule_level.padEnd(9)}${match.sample.sha256.slice(0, 12)}  ${match.rule_title} (${match.count})`);
  channel.ack(message);
});
