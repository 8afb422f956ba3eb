//! Linux: what its logs mean in Sigma's taxonomy. Formats whose records are JSON with fields are mappings
//! (`rules/mappings`); here stands what has to be joined or parsed.

mod audit;
mod lines;
mod sources;
mod strace;
mod syscalls;
mod syslog;
mod sysmon;
mod time;
mod tracee;
mod user;

pub(crate) use audit::Audit;
pub(crate) use strace::Strace;
pub(crate) use syslog::Syslog;
pub(crate) use sysmon::Sysmon;
pub(crate) use tracee::{Tracee, attached};
