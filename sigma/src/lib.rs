//! The Sigma rule language: parse, check, compile, match. Pure: no input or output, no async, usable alone.
//!
//! Three nouns carry it. A [`Builder`] takes rule files and gives a [`RuleSet`] and a [`Diagnostic`] for every rule
//! that was left out. The rule set is immutable and shared by all threads. A [`Scratch`], one a thread, holds what
//! matching an [`Event`] writes to; hits go into the caller's buffer.
//!
//! ```
//! use sandsift_sigma::{Builder, Event, EventSource, Options, SourceFile};
//!
//! let rule = br"
//! title: Download by bitsadmin
//! logsource: {category: process_creation, product: windows}
//! detection:
//!     selection:
//!         Image|endswith: '\bitsadmin.exe'
//!         CommandLine|contains|windash: ' -transfer '
//!     condition: selection
//! ";
//! let mut builder = Builder::new(Options::default());
//! builder.add(&SourceFile { source: "mine", file: "bitsadmin.yml", text: rule });
//! let (set, findings) = builder.build();
//! assert!(findings.is_empty());
//!
//! let mut event = Event::new();
//! event.set_source(&EventSource::new(Some("windows"), ["process_creation"], ["sysmon"]));
//! event.push_str("Image", r"C:\Windows\System32\bitsadmin.exe");
//! event.push_str("CommandLine", "bitsadmin /transfer x http://example.com/a.exe a.exe");
//!
//! let (mut scratch, mut hits) = (set.scratch(), Vec::new());
//! set.matches(&event, &mut scratch, &mut hits);
//! assert_eq!(set.rule(hits[0].rule).metadata.title, "Download by bitsadmin");
//! assert_eq!(set.explain(&event, hits[0].rule)[0].pattern, r"*\bitsadmin.exe");
//! ```
#![deny(missing_docs)]

mod certain;
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
