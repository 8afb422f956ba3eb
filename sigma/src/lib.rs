//! The Sigma rule language: parse, check, compile, match. Pure: no input or output, no async, usable alone.
//!
//! Three nouns carry it. A [`Builder`] takes rule files and gives a [`RuleSet`] and a [`Diagnostic`] for every rule
//! that was left out. The rule set is immutable and shared by all threads. A [`Scratch`], one a thread, holds what
//! matching an [`Event`] writes to; hits go into the caller's buffer.
#![deny(missing_docs)]

mod correlate;
pub mod diagnostic;
mod event;
pub mod fold;
pub mod lint;
mod matcher;
mod members;
pub mod number;
mod parse;
pub mod reference;
pub mod rule;
mod set;
#[cfg(feature = "testing")]
pub mod testing;
pub mod time;
mod yaml;

pub use correlate::{CorrelationHit, CorrelationIndex, Correlator, LeftOut, MAX_OCCURRENCES, MAX_REFERENCES};
pub use diagnostic::{Diagnostic, Severity};
pub use event::{Event, EventSource, Value};
pub use set::{
    Builder, CrossPlatform, Explanation, Hit, Matched, Options, Route, RuleIndex, RuleSet, Scratch, SourceFile, route,
};
