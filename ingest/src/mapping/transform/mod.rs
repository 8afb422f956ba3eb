//! Owns the named transforms of mapping files: the table of all of them with what each takes and does, and the values
//! that pass through. Knows nothing of paths, records or files.

mod command;
mod net;
mod path;
mod program;
mod registry;
mod text;
mod time;

pub(crate) use text::glob;
pub(crate) use time::parse as parse_time;

use super::node::Node;
use crate::Platform;
use rustc_hash::FxHashMap;
use std::borrow::Cow;
use std::sync::Arc;

/// A value on its way from a record to a field.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Val<'r> {
    Node(&'r Node<'r>),
    Text(Cow<'r, str>),
    Int(i64),
}

impl<'r> Val<'r> {
    /// The text of a scalar.
    pub(crate) fn text(&self) -> Option<Cow<'_, str>> {
        match self {
            Val::Node(node) => node.text(),
            Val::Text(text) => Some(Cow::Borrowed(text)),
            Val::Int(number) => Some(Cow::Owned(number.to_string())),
        }
    }

    pub(crate) fn owned(text: impl Into<String>) -> Self {
        Val::Text(Cow::Owned(text.into()))
    }
}

/// A lookup table of a mapping file; keys are lower case.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Table(pub(crate) FxHashMap<Box<str>, Box<str>>);

/// What a transform may ask beside its value.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Around<'i> {
    pub(crate) platform: Option<Platform>,
    /// What the report itself says under its indexes, by their number.
    pub(crate) indexes: &'i [Index],
}

impl Around<'_> {
    /// Nothing known.
    pub(crate) const NOWHERE: Around<'static> = Around { platform: None, indexes: &[] };
}

/// What a report says elsewhere, by a key, such as the names of an address.
pub(crate) type Index = FxHashMap<Box<str>, Vec<Box<str>>>;

type Each = fn(&str, &[Box<str>], &Around<'_>) -> Option<String>;
type Many = for<'r> fn(Vec<Val<'r>>, &[Box<str>]) -> Vec<Val<'r>>;

#[derive(Debug, Clone, Copy)]
enum Work {
    /// Text to text; `None` drops the value.
    Each(Each),
    /// All values at once.
    Many(Many),
    /// A table of the mapping file.
    Lookup { keep: bool },
    /// An index of the report, by its number.
    Index(usize),
}

/// One named transform, as the reference lists it.
pub(crate) struct Spec {
    pub(crate) name: &'static str,
    /// How many arguments it takes at least and at most.
    pub(crate) arguments: (usize, usize),
    /// What it does, for the reference.
    pub(crate) does: &'static str,
    work: Work,
}

const fn each(name: &'static str, arguments: (usize, usize), work: Each, does: &'static str) -> Spec {
    Spec { name, arguments, does, work: Work::Each(work) }
}

const fn many(name: &'static str, arguments: (usize, usize), work: Many, does: &'static str) -> Spec {
    Spec { name, arguments, does, work: Work::Many(work) }
}

/// Every transform, by name.
pub(crate) const ALL: &[Spec] = &[
    each("after", (1, 1), text::after, "what stands behind the first occurrence of a text; drops a value without it"),
    each(
        "after_last",
        (1, 1),
        text::after_last,
        "what stands behind the last occurrence of a text; all of it without one",
    ),
    each("argument", (1, 1), command::argument, "one argument of a command line by its place, the image being 0"),
    many("argv", (0, 0), command::argv, "joins a list of arguments to a command line, quoting what needs it"),
    each("base64", (0, 0), text::base64, "the text behind base64; keeps what is none"),
    each("before", (1, 1), text::before, "what stands before the first occurrence of a text; all of it without one"),
    each("bool", (0, 0), text::boolean, "`true` or `false` from yes/no, on/off, 1/0, true/false; drops the rest"),
    each("codes", (0, 0), text::codes, "Windows' message codes such as `%%1936` by their words"),
    each(
        "command",
        (0, 0),
        path::command,
        "a command line with the placeholders of its image expanded, its arguments as they are",
    ),
    each("control_set", (0, 0), registry::control_set, "`ControlSet001` and the like as `CurrentControlSet`"),
    each(
        "device_path",
        (0, 0),
        path::device_path,
        r"`\Device\HarddiskVolume2\`, `\??\` and `\SystemRoot\` paths with a drive letter",
    ),
    each("dirname", (0, 0), text::dirname, "the folder of a path"),
    each(
        "drop",
        (1, 64),
        text::drop,
        "drops a value that equals one of the arguments, as `-` and `(null)` may mean absent",
    ),
    each(
        "dword",
        (0, 0),
        registry::dword,
        "a number as Sysmon writes a DWORD: `DWORD (0x00000001)`; keeps what is no number",
    ),
    each(
        "epoch",
        (0, 0),
        time::epoch,
        "seconds, milliseconds, microseconds or nanoseconds since 1970 as `2026-01-31 12:00:00.000`",
    ),
    each("filename", (0, 0), text::filename, "the last part of a path"),
    many("first", (0, 0), text::first, "the first value alone"),
    each("hex", (0, 0), text::hex, "a number as `0x1f3`"),
    each("image", (0, 0), command::image_of, "the program of a command line, by the platform's quoting rules"),
    Spec {
        name: "index",
        arguments: (1, 1),
        does: "every value that the report says elsewhere for this one, by an index of the mapping; drops what is not in it",
        work: Work::Index(0),
    },
    each("int", (0, 0), text::int, "a decimal or `0x` number as a decimal; drops what is none"),
    each("ipv6", (0, 0), net::ipv6, "`true` for an IPv6 address, `false` for an IPv4 one; drops the rest"),
    each("ip", (0, 0), net::ip, "keeps an IP address; drops the rest"),
    many("join", (0, 1), text::join, "all values as one text, with a space or the argument between"),
    many("keys", (0, 0), text::keys, "the names of a map's members"),
    many("last", (0, 0), text::last, "the last value alone"),
    Spec {
        name: "lookup",
        arguments: (1, 1),
        does: "the value that a table of the mapping gives; drops what is not in it",
        work: Work::Lookup { keep: false },
    },
    each("lower", (0, 0), text::lower, "lower case"),
    each("not_ip", (0, 0), net::not_ip, "keeps what is no IP address"),
    each("only", (1, 64), text::only, "keeps a value that matches one of the patterns (`*` and `?`); drops the rest"),
    each(
        "placeholders",
        (0, 0),
        path::placeholders,
        "a path with `%WINDIR%`, `%APPDATA%` and the like expanded; what only the run knew stays marked",
    ),
    each(
        "program",
        (0, 0),
        program::path,
        "the bare name of a program that every system has, by its usual path; keeps the rest",
    ),
    each("prefix", (1, 1), text::prefix, "puts a text in front"),
    each(
        "qword",
        (0, 0),
        registry::qword,
        "a number as Sysmon writes a QWORD: `QWORD (0x00000000-0x00000001)`; keeps what is no number",
    ),
    each(
        "registry_key",
        (0, 0),
        registry::key,
        "a registry path as Sysmon writes it: `HKLM\\`, `HKU\\`, `HKCR\\`, `CurrentControlSet`",
    ),
    each(
        "registry_text",
        (0, 0),
        registry::text,
        "a registry value's text as Sysmon writes it: `(Empty)` where there is none",
    ),
    each("replace", (2, 2), text::replace, "every occurrence of the first text by the second"),
    many("split", (1, 1), text::split, "one value for each part between the separators"),
    each("strip", (1, 1), text::strip, "takes a text off both ends"),
    each("suffix", (1, 1), text::suffix, "puts a text behind"),
    each(
        "sysnative",
        (0, 0),
        path::sysnative,
        r"`C:\Windows\sysnative\` as `C:\Windows\System32\`, where a 64-bit process has it",
    ),
    each("time", (0, 0), time::text, "any usual notation of a time as `2026-01-31 12:00:00.000`; drops the rest"),
    Spec {
        name: "translate",
        arguments: (1, 1),
        does: "the value that a table of the mapping gives; keeps what is not in it",
        work: Work::Lookup { keep: true },
    },
    each("trim", (0, 0), text::trim, "without white space at its ends"),
    each("unescape", (0, 0), text::unescape, "doubled backslashes as single ones"),
    each("unhex", (0, 0), text::unhex, "the text of hex digits, as auditd writes; keeps what is not hex"),
    many("unique", (0, 0), text::unique, "without repeats"),
    each("upper", (0, 0), text::upper, "upper case"),
    each("url_host", (0, 0), net::url_host, "the host of a URL"),
    each("url_path", (0, 0), net::url_path, "the path of a URL, without its query"),
    each("url_query", (0, 0), net::url_query, "the query of a URL; drops a URL without one"),
    each("windows_path", (0, 0), path::windows_path, "`device_path`, `sysnative` and `placeholders` in one"),
];

/// A transform with its arguments.
#[derive(Debug, Clone)]
pub(crate) struct Transform {
    work: Work,
    arguments: Box<[Box<str>]>,
    table: Option<Arc<Table>>,
}

impl Transform {
    /// Finds a transform; the error names what is wrong and what would be right.
    pub(crate) fn new(
        name: &str,
        arguments: Vec<Box<str>>,
        tables: &FxHashMap<Box<str>, Arc<Table>>,
        indexes: &[Box<str>],
    ) -> Result<Self, (&'static str, String, String)> {
        let Some(spec) = ALL.iter().find(|spec| spec.name == name) else {
            let help = match nearest(name, ALL.iter().map(|s| s.name)) {
                Some(near) => format!("did you mean '{near}'? docs/mappings.md lists all transforms"),
                None => "docs/mappings.md lists all transforms".to_owned(),
            };
            return Err(("unknown-transform", format!("unknown transform '{name}'"), help));
        };
        let (least, most) = spec.arguments;
        if arguments.len() < least || arguments.len() > most {
            let message = format!("'{name}' takes {least} to {most} arguments, not {}", arguments.len());
            return Err(("transform-arguments", message, format!("'{name}': {}", spec.does)));
        }
        let table = match spec.work {
            Work::Lookup { .. } => {
                let wanted = arguments.first().map_or("", |a| a);
                let Some(table) = tables.get(wanted) else {
                    let message = format!("unknown table '{wanted}'");
                    return Err(("unknown-table", message, "define it under `tables` of the same file".to_owned()));
                };
                Some(Arc::clone(table))
            }
            _ => None,
        };
        let work = match spec.work {
            Work::Index(_) => match indexes.iter().position(|known| arguments.first() == Some(known)) {
                Some(number) => Work::Index(number),
                None => {
                    let message = format!("unknown index '{}'", arguments.first().map_or("", |a| a));
                    return Err(("unknown-index", message, "define it under `indexes` of the same file".to_owned()));
                }
            },
            work => work,
        };
        Ok(Self { work, arguments: arguments.into(), table })
    }

    /// Applies the transform to all values.
    pub(crate) fn apply<'r>(&self, values: Vec<Val<'r>>, around: &Around<'_>) -> Vec<Val<'r>> {
        match self.work {
            Work::Many(work) => work(values, &self.arguments),
            Work::Each(work) => values
                .into_iter()
                .filter_map(|value| work(&value.text()?, &self.arguments, around).map(|t| Val::Text(Cow::Owned(t))))
                .collect(),
            Work::Index(number) => {
                let index = around.indexes.get(number);
                let said = |value: &Val<'r>| Some(index?.get(&*value.text()?)?.iter().map(|text| Val::owned(&**text)));
                values.iter().filter_map(said).flatten().collect()
            }
            Work::Lookup { keep } => {
                let table = self.table.as_deref();
                let lookup = |value: Val<'r>| {
                    let found = value.text().and_then(|text| Some(table?.0.get(&*text.to_lowercase())?.to_string()));
                    match found {
                        Some(text) => Some(Val::Text(Cow::Owned(text))),
                        None if keep => Some(value),
                        None => None,
                    }
                };
                values.into_iter().filter_map(lookup).collect()
            }
        }
    }
}

/// The name that a misspelt one most likely meant.
pub(crate) fn nearest<'n>(wrong: &str, names: impl Iterator<Item = &'n str>) -> Option<&'n str> {
    let wrong = wrong.to_lowercase();
    names.map(|name| (distance(&wrong, name), name)).filter(|(d, name)| *d <= 1 + name.len() / 4).min().map(|(_, n)| n)
}

fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().take(64).collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().take(64).enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(row[j + 1] + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_is_sorted_and_without_repeats() {
        let names: Vec<_> = ALL.iter().map(|s| s.name).collect();
        let mut sorted = names.clone();
        sorted.sort_unstable();
        sorted.dedup();
        // `ipv6` stands before `ip` so that both read as a pair.
        assert_eq!(names.len(), sorted.len());
    }

    #[test]
    fn a_misspelt_transform_is_told_the_nearest() {
        let Err((code, _, help)) = Transform::new("registry_keys", vec![], &FxHashMap::default(), &[]) else {
            panic!()
        };
        assert_eq!(code, "unknown-transform");
        assert!(help.contains("'registry_key'"), "{help}");
        assert!(Transform::new("prefix", vec![], &FxHashMap::default(), &[]).is_err());
    }

    #[test]
    fn the_reference_lists_every_transform() {
        let docs = include_str!("../../../../docs/mappings.md");
        for spec in ALL {
            assert!(docs.contains(&format!("| `{}", spec.name)), "docs/mappings.md lacks `{}`", spec.name);
        }
    }
}
