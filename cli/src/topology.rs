//! Owns `topology apply|show`.

use crate::args::{Format, Global};
use crate::broker::{self, Broker, block_on};
use crate::failure::{Exit, Failure};
use crate::{config, term};
use clap::Subcommand;
use sandsift_bus::Topology;
use serde_json::json;
use std::io::Write as _;
use std::time::Duration;

#[derive(Debug, Subcommand)]
pub enum Command {
    /// Declare exchanges, queues and bindings on the broker
    #[command(after_help = "Example:\n  sandsift topology apply --broker amqp://operator:secret@broker/%2f")]
    Apply {
        #[command(flatten)]
        broker: Broker,
    },
    /// Print exchanges, queues, bindings and policies
    #[command(after_help = "Example:\n  sandsift topology show --format json")]
    Show,
}

pub fn run(global: &Global, command: &Command) -> Result<Exit, Failure> {
    let mut config = config::load(global.config.as_deref())?;
    let topology = Topology::new(&config.topology);
    match command {
        Command::Apply { broker } => {
            broker.apply(&mut config);
            block_on(async {
                let session = broker::session(&config).await?;
                session.declare(&topology).await.map_err(Failure::problem)?;
                session.close(Duration::from_secs(5)).await;
                Ok(())
            })?;
            term::note(format!(
                "declared {} exchanges, {} queues, {} bindings; policies are the operator's, see 'sandsift topology show'",
                topology.exchanges.len(),
                topology.queues.len(),
                topology.bindings.len()
            ));
        }
        Command::Show => show(global, &topology, &config)?,
    }
    Ok(Exit::Done)
}

fn show(global: &Global, topology: &Topology, config: &config::Config) -> Result<(), Failure> {
    let policies = Topology::policies(&config.topology);
    let mut out = std::io::stdout().lock();
    if matches!(global.format, Some(Format::Json | Format::Ndjson)) {
        let queues: Vec<_> = topology
            .queues
            .iter()
            .map(|queue| json!({"name": queue.name, "durable": true, "arguments": queue.arguments()}))
            .collect();
        let bindings: Vec<_> = topology
            .bindings
            .iter()
            .map(
                |binding| json!({"source": binding.exchange, "destination": binding.queue, "routing_key": binding.key}),
            )
            .collect();
        let policies: Vec<_> = policies
            .iter()
            .map(|policy| json!({"name": policy.name, "pattern": policy.pattern, "definition": policy.definition}))
            .collect();
        let document =
            json!({"exchanges": topology.exchanges, "queues": queues, "bindings": bindings, "policies": policies});
        serde_json::to_writer_pretty(&mut out, &document)?;
        writeln!(out)?;
        return Ok(());
    }
    let colored = term::stdout_colored();
    let head = |text: &str| term::paint(text, term::Style::Bold, colored);
    writeln!(out, "{}", head("exchanges"))?;
    for exchange in &topology.exchanges {
        let alternate = exchange.alternate.as_ref().map(|name| format!(", alternate {name}")).unwrap_or_default();
        writeln!(out, "  {:<28} {}{alternate}", exchange.name, format!("{:?}", exchange.kind).to_lowercase())?;
    }
    writeln!(out, "{}", head("queues"))?;
    for queue in &topology.queues {
        let arguments: Vec<String> = queue.arguments().iter().map(|(key, value)| format!("{key}={value}")).collect();
        writeln!(out, "  {:<28} {}", queue.name, term::paint(arguments.join(" "), term::Style::Dim, colored))?;
    }
    writeln!(out, "{}", head("bindings"))?;
    for binding in &topology.bindings {
        writeln!(out, "  {:<28} → {:<28} {}", binding.exchange, binding.queue, binding.key)?;
    }
    writeln!(out, "{}", head("policies (sizes and ages; set them with rabbitmqctl set_policy)"))?;
    for policy in &policies {
        let definition = serde_json::Value::Object(policy.definition.clone());
        writeln!(out, "  {:<28} {}  {definition}", policy.name, policy.pattern)?;
    }
    Ok(())
}
