//! Artifacts to events: what a sandbox left behind, read as records in Sigma's taxonomy. Pure and bounded: bytes in,
//! events out, nothing of files, networks or async; usable alone.
//!
//! A [`Run`] reads the artifacts of one completion, one after another, hands each [`Record`] to the caller as it is
//! read, and tells at the end who caused what.
#![deny(missing_docs)]

mod artifact;
pub mod behaviour;
mod decode;
mod evtx;
mod limits;
mod linux;
mod mapping;
pub mod ndjson;
pub mod origin;
mod record;
mod run;
mod windows;

pub use artifact::{Artifact, Kind, Platform};
pub use limits::Limits;
pub use mapping::{CaseResult, Mapping, Mappings, NeverMatched, TestReport};
pub use origin::Origins;
pub use record::{Actor, Context, Origin, Record};
pub use run::{ArtifactReport, Config, Run, RunContext, Skipped};
