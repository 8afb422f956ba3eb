//! Owns the way from claim checks to verified bytes: named stores, sizes and digests, unpacking within bounds. A message
//! never brings a URL or a path of its own.

mod store;
mod unpack;

pub use store::Stores;

use crate::config::Limits;
use crate::error::{Code, Failure};
use sandsift_bus::message::{Artifact, Completion};
use sha2::{Digest, Sha256};

/// Fetches and verifies every artifact of a completion, in its order.
///
/// Blocking work (hashing, unpacking) is left to the caller's blocking threads: see [`verify`].
pub async fn fetch(completion: &Completion, stores: &Stores, limits: &Limits) -> Result<Vec<Fetched>, Failure> {
    let mut fetched = Vec::with_capacity(completion.artifacts.len());
    for (index, artifact) in completion.artifacts.iter().enumerate() {
        let bytes = match (&artifact.inline, &artifact.store, &artifact.key) {
            (Some(inline), _, _) => serde_json::to_vec(inline)
                .map_err(|error| Failure::new(Code::ArtifactInvalid, format!("artifact {index}: {error}")))?,
            (None, Some(store), Some(key)) => {
                let claimed = artifact.bytes.unwrap_or(0);
                check_size(index, claimed, limits)?;
                stores.get(index, store, key, claimed, limits.fetch).await?
            }
            _ => {
                return Err(Failure::new(
                    Code::ArtifactInvalid,
                    format!("artifact {index} is neither inline nor stored"),
                ));
            }
        };
        fetched.push(Fetched { index, bytes });
    }
    Ok(fetched)
}

/// An artifact's bytes as its store gave them.
#[derive(Debug)]
pub struct Fetched {
    index: usize,
    bytes: Vec<u8>,
}

impl Fetched {
    /// Bytes as stored.
    pub fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }
}

/// Holds fetched bytes to the size and the digest that the completion claims, and unpacks them. Blocks.
pub fn verify(artifacts: &[Artifact], fetched: Vec<Fetched>, limits: &Limits) -> Result<Vec<Vec<u8>>, Failure> {
    let of_artifact = |Fetched { index, bytes }: Fetched| match artifacts.get(index) {
        Some(artifact) if artifact.inline.is_none() => verify_one(index, artifact, bytes, limits),
        _ => Ok(bytes),
    };
    fetched.into_iter().map(of_artifact).collect()
}

fn verify_one(index: usize, artifact: &Artifact, bytes: Vec<u8>, limits: &Limits) -> Result<Vec<u8>, Failure> {
    let claimed = artifact.bytes.unwrap_or(0);
    if bytes.len() as u64 != claimed {
        let detail = format!("artifact {index}: the store holds {} bytes, the completion says {claimed}", bytes.len());
        return Err(Failure::new(Code::ArtifactSize, detail));
    }
    let digest: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    if artifact.sha256.as_deref().is_none_or(|claimed| !claimed.eq_ignore_ascii_case(&digest)) {
        let claimed = artifact.sha256.as_deref().unwrap_or_default();
        let detail = format!("artifact {index}: the stored bytes have SHA-256 {digest}, the completion says {claimed}");
        return Err(Failure::new(Code::ArtifactDigest, detail));
    }
    match artifact.encoding.as_deref() {
        None => Ok(bytes),
        Some(encoding) => unpack::unpack(index, encoding, &bytes, limits),
    }
}

fn check_size(index: usize, bytes: u64, limits: &Limits) -> Result<(), Failure> {
    if bytes <= limits.artifact_bytes {
        return Ok(());
    }
    let limit = limits.artifact_bytes;
    let detail = format!("artifact {index}: {bytes} bytes exceed the limit of {limit} (limits.artifact_bytes)");
    Err(Failure::new(Code::ArtifactTooLarge, detail))
}
