//! Owns the condition: its grammar (`of` binds tighter than `not`, then `and`, then `or`) and the names it uses.

use super::nearest::nearest;
use super::report::Problem;
use crate::rule::Expr;
use crate::yaml::Mark;

/// How deep parentheses and `not` may nest.
const MAX_DEPTH: usize = 64;
/// How many words a condition may have.
const MAX_TOKENS: usize = 10_000;
/// How many selections all selectors of a condition may come to.
const MAX_REFERENCES: usize = 100_000;

/// A selection that a condition may name, and which build of it to use.
#[derive(Debug)]
pub(crate) struct Name<'n> {
    pub name: &'n str,
    /// Where it stands.
    pub mark: Mark,
    /// The index of the selection where it counts as it is.
    pub positive: usize,
    /// The index where it stands under an odd number of `not`.
    pub negative: usize,
}

/// A read condition and what was found on the way.
#[derive(Debug)]
pub(crate) struct Condition {
    pub expr: Expr,
    /// Which of the names were used.
    pub used: Vec<bool>,
    /// What is worth a warning, with the word in question.
    pub warnings: Vec<(String, Problem)>,
}

/// Reads a condition over these selections; an error carries the word in question.
pub(crate) fn parse(text: &str, names: &[Name<'_>]) -> Result<Condition, (String, Problem)> {
    let tokens = tokens(text)?;
    let mut parser = Parser {
        tokens,
        at: 0,
        names,
        used: vec![false; names.len()],
        warnings: Vec::new(),
        upper_case: false,
        references: 0,
    };
    let expr = parser.disjunction(0, true)?;
    if let Some(token) = parser.peek() {
        let token = token.to_owned();
        let help = "join selections by 'and' or 'or'; close what was opened";
        return Err((
            token.clone(),
            Problem::new("invalid-condition", format!("'{token}' is not expected here"), help),
        ));
    }
    let Parser { used, mut warnings, upper_case, .. } = parser;
    if upper_case {
        let problem = Problem::new(
            "upper-case-operator",
            "operators of a condition are lower case",
            "write 'and', 'or', 'not', 'of', 'them' in lower case",
        );
        warnings.push((text.to_owned(), problem));
    }
    Ok(Condition { expr, used, warnings })
}

fn tokens(text: &str) -> Result<Vec<&str>, (String, Problem)> {
    let mut tokens = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let length = match rest.as_bytes()[0] {
            b'(' | b')' => 1,
            b'|' => {
                let problem = Problem::new(
                    "legacy-aggregation",
                    "the condition ends in an aggregation, which Sigma 2 does not have",
                    "write a correlation rule instead: type event_count or value_count, with group-by and timespan",
                );
                return Err((rest.to_owned(), problem));
            }
            _ => rest.find(|c: char| c.is_whitespace() || matches!(c, '(' | ')' | '|')).unwrap_or(rest.len()),
        };
        if tokens.len() == MAX_TOKENS {
            let message = format!("the condition has more than {MAX_TOKENS} words");
            return Err((String::new(), Problem::new("invalid-condition", message, "use '1 of' and 'all of'")));
        }
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    Ok(tokens)
}

struct Parser<'p> {
    tokens: Vec<&'p str>,
    at: usize,
    names: &'p [Name<'p>],
    used: Vec<bool>,
    warnings: Vec<(String, Problem)>,
    upper_case: bool,
    references: usize,
}

/// How many of the selections must hold.
enum Quantity {
    All,
    AtLeast(usize),
}

type Parsed = Result<Expr, (String, Problem)>;

impl<'p> Parser<'p> {
    fn peek(&self) -> Option<&'p str> {
        self.tokens.get(self.at).copied()
    }

    /// Takes an operator, in any case unless a selection has that very name.
    fn take(&mut self, operator: &str) -> bool {
        let Some(token) = self.peek() else { return false };
        if !token.eq_ignore_ascii_case(operator) {
            return false;
        }
        if token != operator {
            if self.names.iter().any(|n| n.name == token) {
                return false;
            }
            self.upper_case = true;
        }
        self.at += 1;
        true
    }

    fn disjunction(&mut self, depth: usize, positive: bool) -> Parsed {
        let mut parts = vec![self.conjunction(depth, positive)?];
        while self.take("or") {
            parts.push(self.conjunction(depth, positive)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Expr::Any(parts) })
    }

    fn conjunction(&mut self, depth: usize, positive: bool) -> Parsed {
        let mut parts = vec![self.negation(depth, positive)?];
        while self.take("and") {
            parts.push(self.negation(depth, positive)?);
        }
        Ok(if parts.len() == 1 { parts.swap_remove(0) } else { Expr::All(parts) })
    }

    fn negation(&mut self, depth: usize, positive: bool) -> Parsed {
        let mut negated = false;
        while self.take("not") {
            negated = !negated;
        }
        let part = self.primary(depth, positive != negated)?;
        Ok(if negated { Expr::Not(Box::new(part)) } else { part })
    }

    fn primary(&mut self, depth: usize, positive: bool) -> Parsed {
        let Some(token) = self.peek() else {
            let help = "name a selection after the last operator";
            return Err((String::new(), Problem::new("invalid-condition", "the condition ends too early", help)));
        };
        self.at += 1;
        if token == "(" {
            if depth == MAX_DEPTH {
                let message = format!("parentheses nest deeper than {MAX_DEPTH} levels");
                return Err((token.to_owned(), Problem::new("nested-too-deep", message, "simplify the condition")));
            }
            let inner = self.disjunction(depth + 1, positive)?;
            if self.peek() != Some(")") {
                let problem = Problem::new("invalid-condition", "a parenthesis is not closed", "add the missing ')'");
                return Err((self.peek().unwrap_or_default().to_owned(), problem));
            }
            self.at += 1;
            return Ok(inner);
        }
        if self.peek().is_some_and(|next| next.eq_ignore_ascii_case("of"))
            && let Some(quantity) = quantity(token)?
        {
            self.take("of");
            return self.selector(quantity, positive);
        }
        self.selection(token, positive)
    }

    fn selection(&mut self, token: &str, positive: bool) -> Parsed {
        if let Some(index) = self.names.iter().position(|n| n.name == token) {
            return Ok(self.reference(index, positive));
        }
        let problem =
            if token == ")" || ["and", "or", "not", "of", "them"].iter().any(|k| k.eq_ignore_ascii_case(token)) {
                let help = "name a selection here";
                Problem::new("invalid-condition", format!("'{token}' stands where a selection is expected"), help)
            } else if token.contains(['*', '?']) {
                let help = format!("write '1 of {token}' or 'all of {token}'");
                Problem::new("unknown-selection", format!("'{token}' is a pattern without '1 of' or 'all of'"), help)
            } else {
                let help = match nearest(token, self.names.iter().map(|n| n.name)) {
                    Some(name) => format!("did you mean '{name}'?"),
                    None => format!("the detection has: {}", self.list()),
                };
                Problem::new("unknown-selection", format!("no selection is named '{token}'"), help)
            };
        Err((token.to_owned(), problem))
    }

    fn list(&self) -> String {
        self.names.iter().map(|n| n.name).take(12).collect::<Vec<_>>().join(", ")
    }

    fn reference(&mut self, index: usize, positive: bool) -> Expr {
        self.used[index] = true;
        let name = &self.names[index];
        Expr::Selection(if positive { name.positive } else { name.negative })
    }

    fn selector(&mut self, quantity: Quantity, positive: bool) -> Parsed {
        let Some(pattern) = self.peek().filter(|token| !matches!(*token, "(" | ")")) else {
            let problem = Problem::new("invalid-condition", "'of' names nothing", "write 'them' or a pattern of names");
            return Err(("of".to_owned(), problem));
        };
        let them = self.take("them");
        if !them {
            self.at += 1;
        }
        let pattern = if them { "*" } else { pattern };
        let hidden = pattern.starts_with('_');
        let matching: Vec<usize> = (0..self.names.len())
            .filter(|&index| {
                let name = self.names[index].name;
                (hidden || !name.starts_with('_')) && glob(pattern, name)
            })
            .collect();
        if matching.is_empty() {
            let message = format!("'{pattern}' matches no selection, so this part never holds");
            let help = match nearest(pattern, self.names.iter().map(|n| n.name)) {
                Some(name) => format!("did you mean '{name}'?"),
                None => format!("the detection has: {}", self.list()),
            };
            self.warnings.push((pattern.to_owned(), Problem::new("empty-selector", message, help)));
            return Ok(Expr::Constant(false));
        }
        let count = matching.len();
        self.references += count;
        if self.references > MAX_REFERENCES {
            let message = format!("the selectors of the condition come to more than {MAX_REFERENCES} selections");
            let problem = Problem::new("invalid-condition", message, "ask for fewer selections, or less often");
            return Err((pattern.to_owned(), problem));
        }
        let mut parts: Vec<Expr> = matching.into_iter().map(|index| self.reference(index, positive)).collect();
        Ok(match quantity {
            _ if parts.len() == 1 && !matches!(quantity, Quantity::AtLeast(2..)) => parts.swap_remove(0),
            Quantity::All => Expr::All(parts),
            Quantity::AtLeast(1) => Expr::Any(parts),
            Quantity::AtLeast(n) => {
                if n > count {
                    let message = format!("'{n} of {pattern}' never holds: {count} selections match");
                    let problem = Problem::new("too-few-selections", message, "lower the number or widen the pattern");
                    self.warnings.push((pattern.to_owned(), problem));
                }
                Expr::AtLeast(n, parts)
            }
        })
    }
}

fn quantity(token: &str) -> Result<Option<Quantity>, (String, Problem)> {
    if token.eq_ignore_ascii_case("all") {
        return Ok(Some(Quantity::All));
    }
    if token.eq_ignore_ascii_case("any") {
        return Ok(Some(Quantity::AtLeast(1)));
    }
    match token.parse::<usize>() {
        Ok(0) => {
            let problem = Problem::new("invalid-condition", "'0 of' always holds", "write 'not 1 of'");
            Err((token.to_owned(), problem))
        }
        Ok(n) => Ok(Some(Quantity::AtLeast(n))),
        Err(_) => Ok(None),
    }
}

/// Whether a name fits a pattern with `*` anywhere.
pub(crate) fn glob(pattern: &str, name: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = name.strip_prefix(first) else { return false };
    let mut parts: Vec<&str> = parts.collect();
    let Some(last) = parts.pop() else { return rest.is_empty() };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(condition: &str, names: &[&str]) -> String {
        let names: Vec<_> = names
            .iter()
            .enumerate()
            .map(|(i, name)| Name { name, mark: Mark::default(), positive: i, negative: i })
            .collect();
        match parse(condition, &names) {
            Ok(condition) => show(&condition.expr),
            Err((_, problem)) => problem.code.to_owned(),
        }
    }

    fn show(expr: &Expr) -> String {
        let list = |parts: &[Expr]| parts.iter().map(show).collect::<Vec<_>>().join(" ");
        match expr {
            Expr::All(parts) => format!("(& {})", list(parts)),
            Expr::Any(parts) => format!("(| {})", list(parts)),
            Expr::AtLeast(n, parts) => format!("({n} {})", list(parts)),
            Expr::Not(part) => format!("!{}", show(part)),
            Expr::Selection(index) => index.to_string(),
            Expr::Constant(truth) => truth.to_string(),
            Expr::Test(_) | Expr::Elements(_) => "?".to_owned(),
        }
    }

    #[test]
    fn precedence_and_selectors() {
        let names = ["sel_1", "sel_2", "filter", "_hidden", "not_x", "a-b"];
        for (condition, expected) in [
            ("sel_1 or sel_2 and filter", "(| 0 (& 1 2))"),
            ("not sel_1 and sel_2", "(& !0 1)"),
            ("not not sel_1", "0"),
            ("not (sel_1 or sel_2)", "!(| 0 1)"),
            ("(sel_1)and(sel_2)", "(& 0 1)"),
            ("1 of sel_*", "(| 0 1)"),
            ("all of sel_*", "(& 0 1)"),
            ("any of sel_*", "(| 0 1)"),
            ("2 of them", "(2 0 1 2 4 5)"),
            ("1 of _*", "3"),
            ("1 of *", "(| 0 1 2 4 5)"),
            ("all of *l_*", "(& 0 1)"),
            ("1 of s*1", "0"),
            ("not_x and a-b", "(& 4 5)"),
            ("sel_1 AND NOT filter", "(& 0 !2)"),
            ("1 OF THEM", "(| 0 1 2 4 5)"),
            ("1 of nothing_*", "false"),
            ("3 of sel_*", "(3 0 1)"),
            ("sel_3", "unknown-selection"),
            ("sel_*", "unknown-selection"),
            ("sel_1 and", "invalid-condition"),
            ("(sel_1", "invalid-condition"),
            ("sel_1 sel_2", "invalid-condition"),
            ("0 of them", "invalid-condition"),
            ("", "invalid-condition"),
            ("sel_1 | count() by x > 5", "legacy-aggregation"),
        ] {
            assert_eq!(shape(condition, &names), expected, "{condition}");
        }
        assert_eq!(shape(&"(".repeat(100_000), &names), "invalid-condition");
        assert_eq!(shape(&"(".repeat(100), &names), "nested-too-deep");
        assert_eq!(shape(&format!("{}sel_1", "not ".repeat(9_000)), &names), "0");
    }

    #[test]
    fn operators_are_names_where_a_selection_has_that_name() {
        assert_eq!(shape("all of all", &["all"]), "0");
        assert_eq!(shape("OR", &["OR"]), "0");
    }
}
