//! Owns the matching of routing keys by topic patterns, as AMQP 0-9-1 says it.

/// Whether a topic pattern takes a routing key: `*` is one word, `#` any number of them.
pub fn topic_matches(pattern: &str, key: &str) -> bool {
    let key: Vec<_> = if key.is_empty() { Vec::new() } else { key.split('.').collect() };
    // Which prefixes of the key the pattern so far can have consumed: linear in both, whatever the pattern.
    let mut reached = vec![false; key.len() + 1];
    reached[0] = true;
    for word in pattern.split('.') {
        let mut next = vec![false; key.len() + 1];
        if word == "#" {
            let mut open = false;
            for (position, slot) in next.iter_mut().enumerate() {
                open |= reached[position];
                *slot = open;
            }
        } else {
            for position in 0..key.len() {
                next[position + 1] = reached[position] && (word == "*" || word == key[position]);
            }
        }
        reached = next;
    }
    reached[key.len()]
}

#[cfg(test)]
mod tests {
    use super::topic_matches;

    #[test]
    fn topics_match_by_words() {
        for (pattern, key, expected) in [
            ("#", "", true),
            ("#", "a.b.c", true),
            ("match.linux.#", "match.linux.high.process_creation", true),
            ("match.linux.#", "match.linux", true),
            ("match.linux.#", "match.linuxx.high", false),
            ("match.*.high.*", "match.macos.high.none", true),
            ("match.*.high.*", "match.macos.high", false),
            ("#.high.#", "match.macos.high.none", true),
            ("#.#", "a", true),
            ("*", "", false),
        ] {
            assert_eq!(topic_matches(pattern, key), expected, "{pattern} on {key}");
        }
    }
}
