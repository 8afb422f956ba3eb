//! Owns compiling what stands in the sections of a mapping file: fields, expressions with their alternatives,
//! conditions; and which members of a record they need.

use super::Compiler;
use crate::mapping::expr::{self, Alternative, Condition, Expr, Parsing, Source, Test};
use crate::mapping::path::Path;
use crate::mapping::walk::Keep;
use crate::mapping::yaml::{Kind, Yaml};

const ALTERNATIVE_KEYS: &[&str] = &["when", "unless", "value", "concat"];

impl Compiler<'_> {
    pub(super) fn fields(&mut self, yaml: &Yaml) -> Vec<(Box<str>, Expr)> {
        let Some(members) = yaml.members() else {
            self.error(yaml, "bad-shape", "fields must be a map", "write `Field: path | transform` lines");
            return Vec::new();
        };
        members.iter().map(|(name, value)| (self.text_of(name, "a field's name"), self.expr(value))).collect()
    }

    /// An expression, a list of alternatives, `{all: […]}` or `{when: …, value: …}`.
    pub(super) fn expr(&mut self, yaml: &Yaml) -> Expr {
        if let Some(all) = yaml.get("all") {
            self.keys(yaml, &["all", "join"], "a field with `all`");
            let join = yaml.get("join").map(|j| self.text_of(j, "what joins"));
            return Expr { all: true, join, ..self.expr(all) };
        }
        let alternatives = yaml.items().iter().filter_map(|item| self.alternative(item)).collect();
        Expr { alternatives, ..Expr::default() }
    }

    pub(super) fn alternative(&mut self, yaml: &Yaml) -> Option<Alternative> {
        let (value, when) = match &yaml.value {
            Kind::Scalar(..) => (yaml, Vec::new()),
            Kind::Map(_) => {
                self.keys(yaml, ALTERNATIVE_KEYS, "an alternative");
                if let Some(parts) = yaml.get("concat") {
                    let source = Source::Concat(parts.items().iter().map(|part| self.expr(part)).collect());
                    return Some(Alternative { when: self.conditions(yaml), source, transforms: Vec::new() });
                }
                let Some(value) = yaml.get("value") else {
                    self.error(yaml, "missing-key", "an alternative needs a value", "write `{when: …, value: …}`");
                    return None;
                };
                (value, self.conditions(yaml))
            }
            Kind::List(_) => {
                self.error(yaml, "bad-shape", "a list stands in a list", "write one list of alternatives");
                return None;
            }
        };
        let mut parsing = Parsing { tables: &self.tables, indexes: &self.indexes, paths: &mut self.paths };
        match expr::parse(value.scalar().unwrap_or(""), value.line, &mut parsing) {
            Ok(alternative) => Some(Alternative { when, ..alternative }),
            Err((code, message, help)) => {
                self.error(value, code, message, help);
                None
            }
        }
    }

    /// What a condition asks of its path.
    pub(super) fn test(&mut self, yaml: &Yaml) -> Option<Test> {
        if yaml.members().is_some() {
            self.keys(yaml, &["exists", "same"], "a condition");
        }
        if let Some(exists) = yaml.get("exists") {
            return Some(Test::Exists(self.flag(Some(exists), "exists")));
        }
        let Some(same) = yaml.get("same") else {
            return Some(Test::Any(self.texts(yaml, "a condition's text").into()));
        };
        let mut parsing = Parsing { tables: &self.tables, indexes: &self.indexes, paths: &mut self.paths };
        match expr::source(same.scalar().unwrap_or(""), same.line, &mut parsing) {
            Ok(source) => Some(Test::Same(source)),
            Err((code, message, help)) => {
                self.error(same, code, message, help);
                None
            }
        }
    }

    /// What stands under `when` and `unless`.
    pub(super) fn conditions(&mut self, yaml: &Yaml) -> Vec<Condition> {
        let mut conditions = Vec::new();
        for (key, negated) in [("when", false), ("unless", true)] {
            let Some(map) = yaml.get(key) else { continue };
            if map.members().is_none() {
                self.error(
                    map,
                    "bad-shape",
                    format!("`{key}` must be a map"),
                    "write `{path: text}` or `{path: {exists: true}}`",
                );
            }
            for (path, test) in map.members().unwrap_or_default() {
                let mut parsing = Parsing { tables: &self.tables, indexes: &self.indexes, paths: &mut self.paths };
                let source = match expr::source(path.scalar().unwrap_or(""), path.line, &mut parsing) {
                    Ok(source) => source,
                    Err((code, message, help)) => {
                        self.error(path, code, message, help);
                        continue;
                    }
                };
                let Some(test) = self.test(test) else { continue };
                conditions.push(Condition { source, test, negated });
            }
        }
        conditions
    }
}

pub(super) fn each_path(expr: &Expr, of_enclosing: bool, found: &mut dyn FnMut(&Path)) {
    for alternative in &expr.alternatives {
        if let Source::Concat(parts) = &alternative.source {
            // Parts nest as deep as the file's author wrote them.
            parts.iter().for_each(|part| each_path(part, of_enclosing, found));
        }
        each_condition(&alternative.when, of_enclosing, found);
        of_source(&alternative.source, of_enclosing, found);
    }
}

pub(super) fn each_condition(conditions: &[Condition], of_enclosing: bool, found: &mut dyn FnMut(&Path)) {
    conditions.iter().flat_map(Condition::sources).for_each(|source| of_source(source, of_enclosing, found));
}

pub(super) fn of_source(source: &Source, of_enclosing: bool, found: &mut dyn FnMut(&Path)) {
    if let Source::Path { path, enclosing, .. } = source
        && *enclosing == of_enclosing
    {
        found(path);
    }
}

/// What a section needs of its records.
pub(super) fn keep<'e>(exprs: impl Iterator<Item = &'e Expr>, when: &[Condition], descend: Option<&Path>) -> Keep {
    let mut keep = Keep::nothing();
    let whole_tree = descend.is_some();
    for expr in exprs {
        each_path(expr, false, &mut |path| keep.add(path));
        // Below `descend`, `^` is the record above, which is of the same kind.
        if whole_tree {
            each_path(expr, true, &mut |path| keep.add(path));
        }
    }
    each_condition(when, false, &mut |path| keep.add(path));
    if let Some(descend) = descend {
        keep.add(descend);
    }
    keep
}

/// What a section needs of the record around; `None` if nothing.
pub(super) fn enclosing<'e>(exprs: impl Iterator<Item = &'e Expr>, when: &[Condition]) -> Option<Keep> {
    let mut keep: Option<Keep> = None;
    let mut add = |path: &Path| keep.get_or_insert_with(Keep::nothing).add(path);
    for expr in exprs {
        each_path(expr, true, &mut add);
    }
    each_condition(when, true, &mut add);
    keep
}
