//! Emits completions: from files, from a sandbox's output folder, from a load profile.
//!
//! Paths become [`Input`]s, an input is packed into a completion by a [`Packer`] (kinds recognised by content, files put
//! into a store as claim checks), and completions are published, confirmed, by [`publish`]. [`watch`] keeps on doing
//! that for whatever a sandbox finishes. Nothing here matches rules or reads results.

mod given;
mod input;
mod pack;
mod publish;
pub mod samples;
mod store;
pub mod watch;

pub use given::GivenError;
pub use input::{Input, MARKER, plan};
pub use pack::{PackError, Packer};
pub use publish::{Load, Options, Progress, PublishFailed, Report, publish};
pub use store::FileStore;
