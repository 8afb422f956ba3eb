//! One completion's way: receive → resolve → execute (decode, match, enrich) → publish → acknowledge.

pub mod execute;
pub mod shipped;
pub mod sources;
