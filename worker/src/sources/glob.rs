//! Owns globs over paths: `*` within a part, `**` across parts, `?` one character.

/// Whether a glob matches all of a path; without a `/` it is asked of the last part alone. Takes at most the product
/// of both lengths.
pub fn glob(pattern: &str, path: &str) -> bool {
    let path = if pattern.contains('/') { path } else { path.rsplit('/').next().unwrap_or(path) };
    let pattern: Vec<char> = pattern.chars().collect();
    let mut states = vec![false; pattern.len() + 1];
    states[0] = true;
    skip_stars(&pattern, &mut states);
    for c in path.chars() {
        let mut next = vec![false; pattern.len() + 1];
        for at in (0..pattern.len()).filter(|&at| states[at]) {
            match pattern[at] {
                '*' if c != '/' || crosses(&pattern, at) => next[at] = true,
                '*' => {}
                '?' if c != '/' => next[at + 1] = true,
                literal if literal == c => next[at + 1] = true,
                _ => {}
            }
        }
        states = next;
        skip_stars(&pattern, &mut states);
    }
    states[pattern.len()]
}

/// Whether the star is one of two.
fn crosses(pattern: &[char], at: usize) -> bool {
    pattern.get(at + 1) == Some(&'*') || (at > 0 && pattern[at - 1] == '*')
}

/// A star may stand for nothing, and `**/` for no folder at all.
fn skip_stars(pattern: &[char], states: &mut [bool]) {
    for at in 0..pattern.len() {
        if states[at] && pattern[at] == '*' {
            states[at + 1] = true;
            if pattern.get(at + 1) == Some(&'*')
                && pattern.get(at + 2) == Some(&'/')
                && (at == 0 || pattern[at - 1] == '/')
            {
                states[at + 3] = true;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stars_stay_in_their_part_unless_doubled() {
        assert!(glob("windows/**/proc_*.yml", "windows/process_creation/proc_creation_x.yml"));
        assert!(glob("windows/**/a.yml", "windows/a.yml"));
        assert!(glob("**/a.yml", "a.yml"));
        assert!(glob("proc_*.yml", "windows/process_creation/proc_x.yml"));
        assert!(!glob("windows/*.yml", "windows/process_creation/x.yml"));
        assert!(glob("windows/**", "windows/process_creation/x.yml"));
        assert!(glob("a?c", "abc") && !glob("x/a?c", "x/a/c"));
        assert!(!glob("", "a") && glob("*", "a"));
    }

    #[test]
    fn many_stars_stay_cheap() {
        assert!(!glob(&format!("{}b", "*a".repeat(200)), &"a".repeat(5000)));
    }
}
