//! One completion's way: receive → resolve → execute (decode, match, enrich) → publish → acknowledge.
//!
//! [`run`] is the one entry point of the service; [`execute`] is the part that `scan` shares with it.

mod admin;
pub mod config;
pub mod error;
pub mod execute;
pub mod export;
pub mod isolate;
mod life;
pub mod metrics;
mod pipeline;
pub mod resolve;
mod service;
pub mod shipped;
pub mod shutdown;
pub mod sources;
pub mod status;

pub use config::Config;
pub use life::results;
pub use metrics::Metrics;
pub use service::{RunError, Setup, run};
pub use shutdown::{Shutdown, Stop};
