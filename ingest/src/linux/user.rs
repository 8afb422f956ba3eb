//! Owns the names of users that every Unix has.

/// The name behind a numeric id, where it is the same everywhere.
pub(crate) fn name(id: &str) -> Option<&'static str> {
    (id == "0").then_some("root")
}
