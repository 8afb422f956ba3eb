//! Owns how commands reach a broker: the configured one, another by address, or the one in memory.

use crate::config::Config;
use crate::failure::Failure;
use clap::Args;
use sandsift_bus::amqp::Amqp;
use sandsift_bus::{Session, Transport};
use std::sync::Arc;

/// Which broker a command talks to.
#[derive(Debug, Clone, Default, Args)]
pub struct Broker {
    /// The broker's address [default: broker.uris of the configuration]
    #[arg(long = "broker", value_name = "amqp://…")]
    pub uri: Option<String>,
}

impl Broker {
    /// Lays the choice over the configuration.
    pub fn apply(&self, config: &mut Config) {
        if let Some(uri) = &self.uri {
            config.broker.uris = vec![uri.clone()];
        }
    }
}

/// The way to the configured broker; connects nowhere yet.
pub fn transport(config: &Config) -> Result<Arc<dyn Transport>, Failure> {
    Ok(Arc::new(Amqp::new(config.broker.clone()).map_err(Failure::usage)?))
}

/// One session, for a command that does one thing and ends.
pub async fn session(config: &Config) -> Result<Arc<dyn Session>, Failure> {
    transport(config)?.connect().await.map_err(|error| {
        Failure::problem(format!("{error}; name the broker with --broker or broker.uris in the configuration"))
    })
}

/// Runs a future on a runtime of its own.
pub fn block_on<T>(future: impl Future<Output = Result<T, Failure>>) -> Result<T, Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::problem(format!("cannot start threads: {error}")))?;
    runtime.block_on(future)
}
