//! Owns the stores of the configuration, folders and object stores alike, behind one seam.

use crate::config::Store;
use crate::error::{Code, Failure};
use object_store::local::LocalFileSystem;
use object_store::path::Path;
use object_store::prefix::PrefixStore;
use object_store::{Error as StoreError, ObjectStore, ObjectStoreExt};
use sandsift_bus::message::validate::check_key;
use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;
use tokio_stream::StreamExt;

/// The stores that claim checks may name.
#[derive(Debug, Clone, Default)]
pub struct Stores {
    stores: BTreeMap<String, Arc<dyn ObjectStore>>,
}

impl Stores {
    /// Opens every store of the configuration; errors name the store and what is wrong with it.
    pub fn open(configured: &BTreeMap<String, Store>) -> Result<Self, String> {
        let mut stores = BTreeMap::new();
        for (name, store) in configured {
            let opened = open(store).map_err(|problem| format!("store '{name}': {problem}"))?;
            stores.insert(name.clone(), opened);
        }
        Ok(Self { stores })
    }

    /// Reads one object, of which no more than the claimed bytes and one are taken, within a deadline.
    pub(super) async fn get(
        &self,
        index: usize,
        store: &str,
        key: &str,
        claimed: u64,
        deadline: Duration,
    ) -> Result<Vec<u8>, Failure> {
        let Some(found) = self.stores.get(store) else {
            let known: Vec<_> = self.stores.keys().map(String::as_str).collect();
            let detail = format!("artifact {index}: no store '{store}' is configured (stores: {})", known.join(", "));
            return Err(Failure::new(Code::StoreUnknown, detail));
        };
        check_key(key)
            .map_err(|problem| Failure::new(Code::ArtifactInvalid, format!("artifact {index}: key {problem}")))?;
        match tokio::time::timeout(deadline, read(found.as_ref(), key, claimed)).await {
            Ok(Ok(bytes)) => Ok(bytes),
            Ok(Err(error)) => Err(failed(index, store, key, &error)),
            Err(_) => {
                let limit = sandsift_bus::units::format_duration(deadline);
                let detail =
                    format!("artifact {index}: store '{store}' did not give '{key}' within {limit} (limits.fetch)");
                Err(Failure::new(Code::StoreTimeout, detail))
            }
        }
    }
}

async fn read(store: &dyn ObjectStore, key: &str, claimed: u64) -> Result<Vec<u8>, StoreError> {
    let mut stream = store.get(&Path::from(key)).await?.into_stream();
    let mut bytes = Vec::with_capacity(usize::try_from(claimed).unwrap_or(0).min(64 << 20));
    while let Some(chunk) = stream.next().await {
        bytes.extend_from_slice(&chunk?);
        if bytes.len() as u64 > claimed {
            break;
        }
    }
    Ok(bytes)
}

fn failed(index: usize, store: &str, key: &str, error: &StoreError) -> Failure {
    let code = match error {
        StoreError::NotFound { .. } => Code::ArtifactMissing,
        StoreError::PermissionDenied { .. } | StoreError::Unauthenticated { .. } => Code::StoreDenied,
        _ => Code::StoreUnavailable,
    };
    Failure::new(code, format!("artifact {index}: store '{store}', key '{key}': {error}"))
}

fn open(store: &Store) -> Result<Arc<dyn ObjectStore>, String> {
    match store {
        Store::Folder { path } => {
            let folder = LocalFileSystem::new_with_prefix(path).map_err(|error| error.to_string())?;
            Ok(Arc::new(folder))
        }
        Store::Object { url, options, option_files } => {
            let url = url::Url::parse(url).map_err(|error| format!("'{url}' is no address: {error}"))?;
            let mut all: Vec<(String, String)> = options.clone().into_iter().collect();
            for (name, file) in option_files {
                let value = std::fs::read_to_string(file)
                    .map_err(|error| format!("cannot read '{}' for {name}: {error}", file.display()))?;
                all.push((name.clone(), value.trim_end().to_owned()));
            }
            let (opened, prefix) = object_store::parse_url_opts(&url, all).map_err(|error| error.to_string())?;
            Ok(Arc::new(PrefixStore::new(opened, prefix)))
        }
    }
}
