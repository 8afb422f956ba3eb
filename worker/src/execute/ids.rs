//! Owns the names of results: UUIDv5 of what decides them, so that duplicates carry the same id.

use uuid::Uuid;

/// UUIDv5 of the DNS namespace and `results.sandsift`.
const NAMESPACE: Uuid = Uuid::from_u128(0x43c2_9a27_b9eb_5954_9de7_b187_19b1_3fc0);

/// The id of the analysis of a completion under a digest.
pub fn analysis_id(completion: &str, digest: &str) -> Uuid {
    Uuid::new_v5(&NAMESPACE, format!("{completion}\0{digest}").as_bytes())
}
