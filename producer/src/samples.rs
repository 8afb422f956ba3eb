//! Owns the sample completions that ship: a small intrusion each, of the three platforms, made by the test kit.

use include_dir::{Dir, include_dir};
use std::io;
use std::path::Path;

static SAMPLES: Dir<'_> = include_dir!("$CARGO_MANIFEST_DIR/samples");

/// The folders of the samples, as `<platform>/<name>`, sorted.
pub fn names() -> Vec<String> {
    let mut names: Vec<String> =
        SAMPLES.dirs().flat_map(Dir::dirs).map(|sample| sample.path().to_string_lossy().replace('\\', "/")).collect();
    names.sort();
    names
}

/// Writes all samples below a folder, from which [`crate::plan`] makes one completion each.
pub fn extract(into: &Path) -> io::Result<()> {
    std::fs::create_dir_all(into)?;
    SAMPLES.extract(into)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileStore, Packer, plan};
    use std::collections::BTreeSet;

    #[test]
    fn samples_of_the_three_platforms_pack_into_completions() {
        let root = tempfile::tempdir().expect("a folder");
        extract(root.path()).expect("samples");
        let packer = Packer { store: Some(FileStore::new("demo", root.path().join(".store"))), ..Packer::default() };
        let inputs = plan(&[root.path().to_owned()], false).expect("a plan");
        assert_eq!(inputs.len(), names().len());
        let completions: Vec<_> = inputs.iter().map(|input| packer.pack(input).expect("a completion")).collect();
        let platforms: BTreeSet<&str> = completions.iter().map(|completion| completion.platform.as_str()).collect();
        assert_eq!(platforms, BTreeSet::from(["linux", "macos", "windows"]));
        let ids: BTreeSet<&str> = completions.iter().map(|completion| completion.id.as_str()).collect();
        assert_eq!(ids.len(), completions.len());
        assert!(completions.iter().flat_map(|c| &c.artifacts).any(|artifact| artifact.inline.is_some()));
        for artifact in completions.iter().flat_map(|c| &c.artifacts).filter(|artifact| artifact.inline.is_none()) {
            let key = artifact.key.as_deref().expect("a key");
            let stored = std::fs::metadata(root.path().join(".store").join(key)).expect("a stored artifact");
            assert_eq!(Some(stored.len()), artifact.bytes);
        }
    }
}
