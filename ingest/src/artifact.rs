//! Owns what an artifact is: its bytes, its kind and the platform that it comes from.

use serde::{Deserialize, Serialize};

/// The platform that a sample ran on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
#[allow(missing_docs)]
pub enum Platform {
    Windows,
    Linux,
    Macos,
}

impl Platform {
    /// All of them, in the order of their names' importance to a fleet.
    pub const ALL: [Self; 3] = [Self::Windows, Self::Linux, Self::Macos];

    /// The name that messages and rules use.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Windows => "windows",
            Self::Linux => "linux",
            Self::Macos => "macos",
        }
    }
}

/// The kind of an artifact, as completions name it, such as `evtx`, `evtx.zip`, `behaviour`, `sysmon.xml`, `ndjson`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Kind(pub std::borrow::Cow<'static, str>);

/// One file that a run left.
#[derive(Debug, Clone, Copy)]
pub struct Artifact<'a> {
    /// Its index in the completion's list.
    pub index: u32,
    /// A name for messages; never opened.
    pub name: &'a str,
    /// The kind that the completion claims; absent, it is recognised by content.
    pub kind: Option<&'a Kind>,
    /// The content.
    pub bytes: &'a [u8],
}
