//! Owns what can go wrong with a completion: a stable code each, and the class that alone decides what becomes of it.

use sandsift_bus::message::validate::Invalid;
use std::fmt;

/// What a failure means for the completion that met it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// It may work later: retried with growing delays, a dead letter when these are used up.
    Transient,
    /// It can never work: a dead letter at once.
    Permanent,
    /// It hurts the worker: a dead letter after its second try.
    Poison,
}

impl Class {
    /// The word that headers and metrics use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Transient => "transient",
            Self::Permanent => "permanent",
            Self::Poison => "poison",
        }
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $name:ident = $text:literal: $class:ident,)*) => {
        /// A stable name for what went wrong; `docs/contract.md` lists all.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $name,)* }

        impl Code {
            /// All codes, for metrics at zero and for tests.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The name that headers, metrics and logs use.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$name => $text,)* }
            }

            /// What the failure means for its completion.
            pub fn class(self) -> Class {
                match self { $(Self::$name => Class::$class,)* }
            }
        }
    };
}

codes! {
    /// The body is larger than `limits.completion_bytes`.
    CompletionTooLarge = "completion-too-large": Permanent,
    /// The message says that its body is something else than JSON.
    CompletionContentType = "completion-content-type": Permanent,
    /// The body is not JSON.
    CompletionNotJson = "completion-not-json": Permanent,
    /// The CloudEvents envelope is not as it must be.
    CompletionEnvelope = "completion-envelope": Permanent,
    /// A member is missing or of the wrong kind.
    CompletionInvalid = "completion-invalid": Permanent,
    /// No worker knows the platform.
    PlatformUnknown = "platform-unknown": Permanent,
    /// An artifact is neither inline nor a proper claim check.
    ArtifactInvalid = "artifact-invalid": Permanent,
    /// An artifact is larger than `limits.artifact_bytes`, packed or unpacked.
    ArtifactTooLarge = "artifact-too-large": Permanent,
    /// The store has no such key.
    ArtifactMissing = "artifact-missing": Permanent,
    /// The stored bytes are more or fewer than the completion says.
    ArtifactSize = "artifact-size": Permanent,
    /// The stored bytes have another SHA-256 than the completion says.
    ArtifactDigest = "artifact-digest": Permanent,
    /// The stored bytes do not unpack.
    ArtifactEncoding = "artifact-encoding": Permanent,
    /// The configuration has no store of this name.
    StoreUnknown = "store-unknown": Permanent,
    /// The store refuses this worker.
    StoreDenied = "store-denied": Transient,
    /// The store does not answer, or answers with an error of its own.
    StoreUnavailable = "store-unavailable": Transient,
    /// The store did not answer within `limits.fetch`.
    StoreTimeout = "store-timeout": Transient,
    /// An analysis does not fit into a message even without contexts.
    ResultTooLarge = "result-too-large": Permanent,
    /// Decoding or matching panicked.
    ExecutorPanic = "executor-panic": Poison,
    /// Decoding or matching took longer than `limits.execute`.
    ExecutorTimeout = "executor-timeout": Poison,
    /// The executor's process was killed by a signal.
    ExecutorSignal = "executor-signal": Poison,
    /// The executor's process asked for more memory than it may have.
    ExecutorMemory = "executor-memory": Poison,
    /// The executor's process could not be started or spoken with.
    ExecutorUnavailable = "executor-unavailable": Transient,
    /// The executor failed in a way that it has no code for.
    ExecutorFailed = "executor-failed": Poison,
}

impl Code {
    /// The code of this name.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == name)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a completion came to no analysis this time.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Failure {
    /// Decides what becomes of the completion.
    pub code: Code,
    /// For people; may hold text that an attacker wrote, and is escaped wherever it is shown.
    pub detail: String,
}

impl Failure {
    /// A failure of a code, in words.
    pub fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl From<Invalid> for Failure {
    fn from(invalid: Invalid) -> Self {
        let code = Code::parse(invalid.code()).unwrap_or(Code::CompletionInvalid);
        Self::new(code, invalid.to_string())
    }
}

impl From<crate::execute::ExecuteError> for Failure {
    fn from(error: crate::execute::ExecuteError) -> Self {
        let code = match error.code.as_str() {
            "platform-invalid" => Code::PlatformUnknown,
            other => Code::parse(other).unwrap_or(Code::ExecutorFailed),
        };
        Self::new(code, error.detail)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A change of a class changes what an operator must expect, so it must be made here, too.
    #[test]
    fn the_class_of_every_code_is_pinned() {
        let of =
            |class| Code::ALL.iter().filter(|code| code.class() == class).map(|code| code.as_str()).collect::<Vec<_>>();
        assert_eq!(
            of(Class::Transient),
            ["store-denied", "store-unavailable", "store-timeout", "executor-unavailable"]
        );
        assert_eq!(
            of(Class::Poison),
            ["executor-panic", "executor-timeout", "executor-signal", "executor-memory", "executor-failed"]
        );
        assert_eq!(of(Class::Permanent).len(), Code::ALL.len() - 9);
    }

    #[test]
    fn every_code_has_its_own_name() {
        for code in Code::ALL {
            assert_eq!(Code::parse(code.as_str()), Some(*code));
        }
    }
}
