//! Owns the log on stderr; data never goes there, logs never go to stdout.

use crate::args::Global;
use crate::term;
use std::io;
use tracing_subscriber::EnvFilter;

/// Starts logging by `--log`, else `SANDSIFT_LOG`, else warnings and errors.
pub fn start(global: &Global) {
    let filter = EnvFilter::try_new(&global.log).unwrap_or_else(|_| EnvFilter::new("warn"));
    let builder = tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr);
    if global.log_json {
        builder.json().init();
    } else {
        builder.with_ansi(term::stderr_colored()).with_target(false).init();
    }
}
