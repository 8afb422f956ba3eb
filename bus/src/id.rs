//! Owns the ids of results. `docs/contract.md` states the exact bytes, so that anyone can compute them.

use uuid::Uuid;

/// The namespace of all result ids: UUIDv5 of the DNS namespace and `results.sandsift`.
pub const NAMESPACE: Uuid = Uuid::from_u128(0x43c2_9a27_b9eb_5954_9de7_b187_19b1_3fc0);

/// The id of the analysis of a completion under a digest: UUIDv5 of the completion's id, a zero byte and the digest as
/// 64 lower-case hexadecimal digits.
pub fn analysis(completion: &str, digest: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, &name(&[completion, digest]))
}

/// The id of a match: UUIDv5 of the completion's id, the digest and the rule's id (a lower-case hyphenated UUID), with
/// zero bytes between them.
pub fn matched(completion: &str, digest: &str, rule: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, &name(&[completion, digest, rule]))
}

/// The id of a completion's behaviour event: as [`matched`] with `behaviour` for the rule.
pub fn behaviour(completion: &str, digest: &str) -> Uuid {
    matched(completion, digest, "behaviour")
}

fn name(parts: &[&str]) -> Vec<u8> {
    parts.join("\0").into_bytes()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_namespace_is_derived_as_documented() {
        assert_eq!(NAMESPACE, Uuid::new_v5(&Uuid::NAMESPACE_DNS, b"results.sandsift"));
    }

    #[test]
    fn parts_cannot_run_into_one_another() {
        assert_ne!(matched("a", "b", "c"), matched("ab", "", "c"));
        assert_ne!(analysis("a", "b"), matched("a", "b", ""));
    }
}
