//! Owns the file store on the producing side: artifacts under `<first two hex digits>/<SHA-256>`, each written once.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

/// A folder that producers write artifacts into and workers read them from under a name of their configuration.
#[derive(Debug, Clone)]
pub struct FileStore {
    name: String,
    root: PathBuf,
}

impl FileStore {
    /// A store under the name that the workers know it by.
    pub fn new(name: impl Into<String>, root: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), root: root.into() }
    }

    /// The name that messages carry.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The folder.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// Puts content under its digest and gives the key. Content that is there already is left alone.
    ///
    /// A reader never sees a part of it: it is written beside and renamed.
    pub fn put(&self, sha256: &str, content: &[u8]) -> io::Result<String> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        let prefix = sha256.get(..2).ok_or_else(|| io::Error::other("a digest has 64 digits"))?;
        let key = format!("{prefix}/{sha256}");
        let path = self.root.join(&key);
        if fs::metadata(&path).is_ok_and(|there| there.len() == content.len() as u64) {
            return Ok(key);
        }
        fs::create_dir_all(self.root.join(prefix))?;
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let beside = self.root.join(prefix).join(format!(".{sha256}.{}.{number}", std::process::id()));
        let written = fs::File::create(&beside).and_then(|mut file| {
            file.write_all(content)?;
            file.sync_all()?;
            fs::rename(&beside, &path)
        });
        if written.is_err() {
            // What is left beside is of no use; the error that matters is the one above.
            let _ = fs::remove_file(&beside);
        }
        written.map(|()| key)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn content_is_kept_once_under_its_digest_and_mended_where_it_is_cut() {
        let root = tempfile::tempdir().expect("a folder");
        let store = FileStore::new("fleet", root.path());
        let digest = "ab".repeat(32);
        let key = store.put(&digest, b"content").expect("a key");
        assert_eq!(key, format!("ab/{digest}"));
        fs::write(root.path().join(&key), b"cut").expect("a damaged file");
        store.put(&digest, b"content").expect("a key");
        assert_eq!(fs::read(root.path().join(&key)).expect("content"), b"content");
        assert_eq!(fs::read_dir(root.path().join("ab")).expect("a folder").count(), 1, "nothing is left beside");
    }
}
