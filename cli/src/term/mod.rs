//! Owns the terminal: whether there is one, how wide it is, colours, and that nothing which an attacker wrote reaches
//! it unescaped.

mod escape;
mod progress;
mod table;

pub use escape::{columns_of, escape, fit};
pub use progress::Progress;
pub use table::{Align, Table};

use crate::args::Color;
use std::fmt::Display;
use std::io::{self, IsTerminal as _};
use std::sync::OnceLock;

static CHOICE: OnceLock<Color> = OnceLock::new();

/// Sets what `--color` says, once.
pub fn choose(color: Color) {
    let _ = CHOICE.set(color);
}

fn colored(terminal: bool) -> bool {
    match CHOICE.get().copied().unwrap_or_default() {
        Color::Always => true,
        Color::Never => false,
        // https://no-color.org: set to anything but nothing.
        Color::Auto => {
            terminal
                && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                && std::env::var_os("TERM").is_none_or(|term| term != "dumb")
        }
    }
}

/// Whether stdout takes colours.
pub fn stdout_colored() -> bool {
    colored(io::stdout().is_terminal())
}

/// Whether stderr takes colours.
pub fn stderr_colored() -> bool {
    colored(io::stderr().is_terminal())
}

/// Columns of the terminal on stdout; 100 where there is none.
pub fn width() -> usize {
    let columns = std::env::var("COLUMNS").ok().and_then(|columns| columns.parse().ok());
    columns
        .or_else(|| terminal_size::terminal_size().map(|(width, _)| usize::from(width.0)))
        .unwrap_or(100)
        .clamp(40, 240)
}

/// How a text stands out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    Plain,
    Bold,
    Dim,
    Critical,
    High,
    Medium,
    Low,
    Good,
    Bad,
    Accent,
}

impl Style {
    /// The style of a rule's level.
    pub fn of_level(level: &str) -> Self {
        match level {
            "critical" => Self::Critical,
            "high" => Self::High,
            "medium" => Self::Medium,
            "low" => Self::Low,
            _ => Self::Dim,
        }
    }

    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Bold => "\x1b[1m",
            Self::Dim => "\x1b[2m",
            Self::Critical => "\x1b[1;97;41m",
            Self::High | Self::Bad => "\x1b[1;31m",
            Self::Medium => "\x1b[33m",
            Self::Low | Self::Accent => "\x1b[36m",
            Self::Good => "\x1b[32m",
        }
    }
}

/// A text in a style, if colours are on; escapes nothing.
pub fn paint(text: impl Display, style: Style, colored: bool) -> String {
    match style.code() {
        "" => text.to_string(),
        code if colored => format!("{code}{text}\x1b[0m"),
        _ => text.to_string(),
    }
}

/// Says on stderr why the command ends.
pub fn error(message: impl Display) {
    eprintln!("{} {}", paint("error:", Style::Bad, stderr_colored()), escape_lines(&message.to_string()));
}

/// Says on stderr what a person should know; the command goes on.
pub fn warn(message: impl Display) {
    eprintln!("{} {}", paint("warning:", Style::Medium, stderr_colored()), escape_lines(&message.to_string()));
}

/// Says on stderr what a person may like to know.
pub fn note(message: impl Display) {
    eprintln!("{}", escape_lines(&message.to_string()));
}

/// Escapes all but line breaks.
fn escape_lines(text: &str) -> String {
    text.lines().map(escape).collect::<Vec<_>>().join("\n")
}
