//! Owns progress bars: on stderr, only on a terminal, never in the way of what is printed.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::io::{self, IsTerminal as _};

/// A bar that counts what is done.
#[derive(Debug)]
pub struct Progress(ProgressBar);

impl Progress {
    /// A bar over so many things; hidden off a terminal, or where stdout shares the terminal and is printed to.
    pub fn new(total: u64, what: &'static str, also_printing: bool) -> Self {
        let hidden = !io::stderr().is_terminal() || (also_printing && io::stdout().is_terminal());
        let target = if hidden { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let bar = ProgressBar::with_draw_target(Some(total), target);
        // The template is fixed and right; were it not, the default style would do.
        if let Ok(style) =
            ProgressStyle::with_template("{msg} [{bar:32}] {human_pos}/{human_len}  {per_sec}  {eta} left")
        {
            bar.set_style(style.progress_chars("━╸ "));
        }
        bar.set_message(what);
        Self(bar)
    }

    /// One more is done.
    pub fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
