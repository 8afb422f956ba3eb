//! The test kit: what end-to-end tests and benchmarks share.

pub mod evtx;
pub mod story;
