//! Owns what a rule means: the tree that the parser makes and that both the plain evaluator and the compiler read.
//!
//! By the time a rule stands here, modifiers are applied, encodings done and wildcards parsed: a [`Predicate`] asks one
//! question about one field. How questions are answered fast is no concern of this module, and nothing of YAML is left.

mod cidr;
mod correlation;
mod dialect;
mod pattern;
mod regex;

pub use cidr::Cidr;
pub use correlation::{Base, Condition, Correlation, Measure, SCALE, Target, scaled};
pub use pattern::{DASHES, Pattern, Piece};
pub use regex::{Engine, Flags, Regex};

use serde::Serialize;
use std::sync::Arc;
use uuid::Uuid;

/// One detection rule, ready to be evaluated or compiled.
#[derive(Debug, Clone)]
pub struct Rule {
    /// The Sigma UUID; a rule without one gets a UUIDv5 of its content.
    pub id: Uuid,
    /// Everything that a result says about the rule.
    pub metadata: Metadata,
    /// Which events the rule is asked about.
    pub logsource: LogSource,
    /// The named selections, in the order of the file.
    pub selections: Vec<Selection>,
    /// The condition; a list of conditions is their [`Expr::Any`].
    pub condition: Expr,
    /// The file, as named to the loader, and the line where the document starts, from 1.
    pub origin: Origin,
}

/// Where a rule stands.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Origin {
    /// The name of the source that the rule belongs to, such as `SigmaHQ`.
    pub source: Arc<str>,
    /// The file, as it was named to the loader.
    pub file: Arc<str>,
    /// The line of the document, from 1.
    pub line: u32,
}

/// Which events a rule is asked about; an absent part asks nothing. Lower case.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct LogSource {
    /// Such as `process_creation`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category: Option<Box<str>>,
    /// Such as `windows`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub product: Option<Box<str>>,
    /// Such as `sysmon`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub service: Option<Box<str>>,
}

/// Severity as the specification orders it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Level {
    Informational,
    Low,
    Medium,
    High,
    Critical,
}

/// What a rule file says beside its detection.
#[derive(Debug, Clone, Default)]
pub struct Metadata {
    /// The rule's title.
    pub title: String,
    /// The name that correlations and filters may refer to.
    pub name: Option<String>,
    /// The level; absent where the rule gives none.
    pub level: Option<Level>,
    /// `stable`, `test`, `experimental`, `deprecated`, `unsupported`.
    pub status: Option<String>,
    /// Free text.
    pub description: Option<String>,
    /// As written.
    pub author: Option<String>,
    /// As written, since files hold several forms.
    pub date: Option<String>,
    /// As written.
    pub modified: Option<String>,
    /// The licence that the rule names.
    pub license: Option<String>,
    /// Links.
    pub references: Vec<String>,
    /// `attack.t1059` and the like, as written.
    pub tags: Vec<String>,
    /// Known causes of a match without malice.
    pub falsepositives: Vec<String>,
    /// Fields of interest to an analyst.
    pub fields: Vec<String>,
    /// Related rules: (id, type).
    pub related: Vec<(String, String)>,
    /// The taxonomy; `sigma` where the rule names none.
    pub taxonomy: Option<String>,
    /// Everything else at the top level, kept as JSON.
    pub custom: serde_json::Map<String, serde_json::Value>,
    /// SHA-256 of the rule's document as it was read, with the filters that were applied to it.
    pub digest: [u8; 32],
}

/// A named part of a detection.
#[derive(Debug, Clone)]
pub struct Selection {
    /// The name that the condition uses.
    pub name: Box<str>,
    /// What it asks.
    pub body: Expr,
}

/// A question about one event that is answered with yes or no.
#[derive(Debug, Clone)]
pub enum Expr {
    /// All hold; an empty list holds.
    All(Vec<Expr>),
    /// At least one holds; an empty list does not hold.
    Any(Vec<Expr>),
    /// At least this many hold.
    AtLeast(usize, Vec<Expr>),
    /// Does not hold.
    Not(Box<Expr>),
    /// The selection of this index in [`Rule::selections`]; selections never refer to one another.
    Selection(usize),
    /// One question about one field.
    Test(Predicate),
    /// Something holds for members of an array (draft, SEP 212).
    Elements(Box<Elements>),
    /// Holds always or never: a placeholder without values makes its item never hold.
    Constant(bool),
}

/// A question about the members of an array, each asked by itself.
#[derive(Debug, Clone)]
pub struct Elements {
    /// The path of the array.
    pub array: Arc<str>,
    /// For how many members the body must hold.
    pub quantifier: Quantifier,
    /// What is asked of a member; its fields are named by their full paths, the member itself by the array's.
    pub body: Expr,
}

/// For how many members of an array something must hold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Quantifier {
    /// At least one.
    Any,
    /// All, and there is one.
    All,
    /// All; an empty or missing array will do.
    AllOrEmpty,
    /// Not one.
    None,
    /// The one of this index, from 0; from the end where it is negative.
    At(i64),
}

impl Expr {
    /// Whether it asks about members of arrays, which the plain evaluator alone can answer.
    pub fn has_elements(&self) -> bool {
        match self {
            Expr::Elements(_) => true,
            Expr::All(parts) | Expr::Any(parts) | Expr::AtLeast(_, parts) => parts.iter().any(Expr::has_elements),
            Expr::Not(part) => part.has_elements(),
            Expr::Selection(_) | Expr::Test(_) | Expr::Constant(_) => false,
        }
    }
}

/// One question about one field, or about every value of the event.
#[derive(Debug, Clone)]
pub struct Predicate {
    /// The field's name, compared exactly; `None` is a keyword: any value of the event.
    pub field: Option<Arc<str>>,
    /// The question, which holds for a list if it holds for any member.
    pub test: Test,
}

/// What is asked of a value.
#[derive(Debug, Clone)]
pub enum Test {
    /// The whole text matches; numbers and truth values by their text.
    Text(Pattern),
    /// The number is equal, by value for numbers (`1.0` is 1) and by text otherwise.
    Number(Number),
    /// A truth value, or its text in any case.
    Bool(bool),
    /// The field is absent or null.
    Null,
    /// The field is there (whatever it holds), or is not.
    Exists(bool),
    /// The regular expression is found somewhere in the text.
    Regex(Regex),
    /// The text is an address in this network.
    Cidr(Cidr),
    /// The number compares so.
    Compare(Comparison, Number),
    /// A part of the date and time in the text is this number.
    TimePart(TimePart, Comparison, i64),
    /// Another field of the same event has a value that relates so.
    FieldRef(FieldRef),
}

/// How numbers compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Comparison {
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    Equal,
    NotEqual,
}

/// A number without loss: an integer, or the text of another one.
#[derive(Debug, Clone, PartialEq)]
pub enum Number {
    /// An integer.
    Int(i128),
    /// Any other decimal number, by its text.
    Decimal(Box<str>),
}

/// A part of a date and time, in the time's own offset, else UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum TimePart {
    Minute,
    Hour,
    Day,
    Week,
    Month,
    Year,
}

impl TimePart {
    /// As the modifier is called.
    pub fn name(self) -> &'static str {
        match self {
            TimePart::Minute => "minute",
            TimePart::Hour => "hour",
            TimePart::Day => "day",
            TimePart::Week => "week",
            TimePart::Month => "month",
            TimePart::Year => "year",
        }
    }
}

/// A comparison with another field of the same event; does not hold where either is missing.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FieldRef {
    /// The other field.
    pub field: Arc<str>,
    /// How its value must stand in this one.
    pub anchor: Anchor,
    /// Whether case counts.
    pub cased: bool,
}

/// Where one text stands in another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Anchor {
    /// Is all of it.
    Whole,
    /// Stands at its start.
    Start,
    /// Stands at its end.
    End,
    /// Stands anywhere in it.
    Anywhere,
}
