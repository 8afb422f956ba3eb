//! The test kit: what end-to-end tests and benchmarks share.

pub mod broker;
pub mod conformance;
pub mod evtx;
pub mod fleet;
pub mod proxy;
pub mod runs;
pub mod story;
