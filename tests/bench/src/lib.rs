//! Measures decoding and matching: generated and real events, rule sets and their mutated copies, processor time, and
//! another engine beside ours.

pub mod clock;
pub mod corpus;
pub mod generate;
pub mod inside;
pub mod outside;
