//! Owns Python's own notation for a value, which some sandbox modules write where JSON was meant: single quotes,
//! `None`, `True`, `False`. Knows nothing of mappings.

/// Rewrites one line of Python's notation as JSON; `None` where it is not that.
///
/// Linear, and it never recurses: only tokens are rewritten, the JSON parser judges the structure.
pub(crate) fn to_json(line: &str) -> Option<String> {
    let line = line.trim();
    if !line.starts_with(['{', '[', '(']) || !line.contains('\'') {
        return None;
    }
    let mut json = String::with_capacity(line.len() + 16);
    let mut chars = line.char_indices().peekable();
    while let Some((at, c)) = chars.next() {
        match c {
            '\'' | '"' => {
                json.push('"');
                loop {
                    match chars.next()?.1 {
                        end if end == c => break,
                        '\\' => escape(&mut chars, &mut json)?,
                        '"' => json.push_str("\\\""),
                        control if control < ' ' => json.push_str(&format!("\\u{:04x}", u32::from(control))),
                        other => json.push(other),
                    }
                }
                json.push('"');
            }
            '(' => json.push('['),
            ')' => json.push(']'),
            'b' | 'u' if matches!(chars.peek(), Some((_, '\'' | '"'))) => {}
            'A'..='Z' => {
                let rest = &line[at..];
                let (word, value) = [("None", "null"), ("True", "true"), ("False", "false")]
                    .into_iter()
                    .find(|(word, _)| rest.starts_with(word))?;
                json.push_str(value);
                for _ in 1..word.len() {
                    chars.next();
                }
            }
            other => json.push(other),
        }
    }
    serde_json::from_str::<serde::de::IgnoredAny>(&json).ok().map(|_| json)
}

fn escape(chars: &mut std::iter::Peekable<std::str::CharIndices<'_>>, json: &mut String) -> Option<()> {
    match chars.next()?.1 {
        'x' => {
            let digits: String = [chars.next()?.1, chars.next()?.1].iter().collect();
            let byte = u8::from_str_radix(&digits, 16).ok()?;
            json.push_str(&format!("\\u{byte:04x}"));
        }
        '\'' => json.push('\''),
        c @ ('"' | '\\' | 'n' | 'r' | 't' | 'b' | 'f' | 'u') => {
            json.push('\\');
            json.push(c);
        }
        other => {
            json.push_str("\\\\");
            json.push(other);
        }
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::to_json;

    #[test]
    fn pythons_notation_becomes_json() {
        let json = to_json(r#"{'a': None, 'b': [True, False], 'c': "it's", 'd': 'say "x"\\n\x41', 'e': (1, 2)}"#);
        assert_eq!(
            json.as_deref(),
            Some(r#"{"a": null, "b": [true, false], "c": "it's", "d": "say \"x\"\\n\u0041", "e": [1, 2]}"#)
        );
    }

    #[test]
    fn what_is_not_python_is_left_alone() {
        assert_eq!(to_json("# it's a comment"), None);
        assert_eq!(to_json("{'a': Unknown}"), None);
        assert_eq!(to_json("{'a': 'open"), None);
    }
}
