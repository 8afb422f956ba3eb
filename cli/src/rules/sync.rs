//! Owns `rules sync`: a source's archive over https, checked by its digest, unpacked beside and swapped in as a whole;
//! whatever fails, the old rules stay.

use crate::args::Global;
use crate::failure::{Exit, Failure};
use crate::{config, term};
use clap::Args;
use sandsift_worker::sources::Source;
use sha2::{Digest, Sha256};
use std::fs;
use std::io::{Cursor, Read};
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

/// Bytes that an archive may have, packed; a release of SigmaHQ has 5 MB.
const ARCHIVE_BYTES: u64 = 256 << 20;
/// Bytes that its rules may have together, unpacked.
const UNPACKED_BYTES: u64 = 512 << 20;
/// Entries that it may have.
const ENTRIES: usize = 200_000;
/// How long the download may take.
const PATIENCE: Duration = Duration::from_secs(300);

/// Fetch configured sources (rules.sources with a url), replacing each as a whole
#[derive(Debug, Args)]
#[command(after_help = "Example, with this in the configuration:\n  \
    [[rules.sources]]\n  name = \"SigmaHQ\"\n  path = \"/var/lib/sandsift/sigmahq\"\n  \
    url = \"https://example.org/sigma_core.zip\"\n  sha256 = \"…\"\n\n  \
    sandsift rules sync -c sandsift.toml")]
pub struct Sync {
    /// Only these sources, by name
    #[arg(value_name = "NAME")]
    names: Vec<String>,
}

pub fn run(global: &Global, args: &Sync) -> Result<Exit, Failure> {
    let config = config::load(global.config.as_deref())?;
    if let Some(name) = args.names.iter().find(|name| config.rules.sources.iter().all(|source| source.name != **name)) {
        return Err(Failure::usage(format!("no source '{name}' in rules.sources of the configuration")));
    }
    let wanted = |source: &&Source| args.names.is_empty() || args.names.contains(&source.name);
    let sources: Vec<&Source> =
        config.rules.sources.iter().filter(wanted).filter(|source| source.url.is_some()).collect();
    if sources.is_empty() {
        return Err(Failure::usage("no source has a url; give rules.sources of the configuration one"));
    }
    let mut failed = false;
    for source in sources {
        match sync(source) {
            Ok(files) => term::note(format!("{}: {files} rule files in {}", source.name, source.path.display())),
            Err(why) => {
                term::error(format!("{}: {why}; what was there stays", source.name));
                failed = true;
            }
        }
    }
    Ok(Exit::problems_if(failed))
}

fn sync(source: &Source) -> Result<usize, String> {
    let url = source.url.as_deref().unwrap_or_default();
    let archive = fetch(url)?;
    if let Some(wanted) = &source.sha256 {
        let have = format!("{:x}", Sha256::digest(&archive));
        if !wanted.eq_ignore_ascii_case(&have) {
            return Err(format!("the archive has SHA-256 {have}, {wanted} is wanted"));
        }
    }
    replace(&source.path, &archive, source.subfolder.as_deref())
}

fn fetch(url: &str) -> Result<Vec<u8>, String> {
    if !url.starts_with("https://") {
        return Err(format!("'{url}' is no https address"));
    }
    let agent: ureq::Agent =
        ureq::Agent::config_builder().https_only(true).timeout_global(Some(PATIENCE)).build().into();
    let mut response = agent.get(url).call().map_err(|error| format!("{url}: {error}"))?;
    let limited = response.body_mut().with_config().limit(ARCHIVE_BYTES).read_to_vec();
    limited.map_err(|error| format!("{url}: {error}"))
}

/// Unpacks an archive beside a folder and puts it in the folder's place.
fn replace(path: &Path, archive: &[u8], subfolder: Option<&str>) -> Result<usize, String> {
    let fail = |what: &str, error: std::io::Error| format!("{what}: {error}");
    let name = path.file_name().ok_or("the source's path has no last part")?.to_string_lossy().into_owned();
    let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    fs::create_dir_all(parent).map_err(|error| fail("cannot make the folder", error))?;
    let (fresh, old) = (parent.join(format!(".{name}.new")), parent.join(format!(".{name}.old")));
    let _ = fs::remove_dir_all(&fresh);
    let _ = fs::remove_dir_all(&old);
    let unpacked = unpack(archive, &fresh).and_then(|files| {
        let root = match subfolder {
            Some(inner) => fresh.join(inside(Path::new(inner)).ok_or("rules.sources.subfolder leaves the archive")?),
            None => fresh.clone(),
        };
        if files == 0 || !root.is_dir() {
            return Err("the archive holds no rules there".to_owned());
        }
        Ok((files, root))
    });
    let swapped = unpacked.and_then(|(files, root)| {
        let existed = path.exists();
        if existed {
            fs::rename(path, &old).map_err(|error| fail("cannot move the old rules away", error))?;
        }
        if let Err(error) = fs::rename(&root, path) {
            if existed {
                // Puts the old ones back; if even that fails they lie in the hidden folder that the message names.
                fs::rename(&old, path).map_err(|error| fail(&format!("old rules are in {}", old.display()), error))?;
            }
            return Err(fail("cannot put the new rules in place", error));
        }
        Ok(files)
    });
    let _ = fs::remove_dir_all(&fresh);
    let _ = fs::remove_dir_all(&old);
    swapped
}

/// Writes the YAML files of a zip or tar.gz below a folder; gives how many.
fn unpack(archive: &[u8], into: &Path) -> Result<usize, String> {
    let mut writer = Writer { into, files: 0, bytes: 0, entries: 0 };
    if archive.starts_with(b"PK") {
        let mut zip = zip::ZipArchive::new(Cursor::new(archive)).map_err(|error| format!("no zip: {error}"))?;
        for index in 0..zip.len() {
            let mut entry = zip.by_index(index).map_err(|error| format!("zip: {error}"))?;
            if entry.is_file() {
                let name = entry.name().map_err(|error| format!("zip: {error}"))?.into_owned();
                writer.put(Path::new(&*name), &mut entry)?;
            }
        }
    } else if archive.starts_with(&[0x1f, 0x8b]) {
        let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
        let entries = tar.entries().map_err(|error| format!("no tar: {error}"))?;
        for entry in entries {
            let mut entry = entry.map_err(|error| format!("tar: {error}"))?;
            if entry.header().entry_type().is_file() {
                let name = entry.path().map_err(|error| format!("tar: {error}"))?.into_owned();
                writer.put(&name, &mut entry)?;
            }
        }
    } else {
        return Err("the archive is neither zip nor tar.gz".to_owned());
    }
    Ok(writer.files)
}

struct Writer<'a> {
    into: &'a Path,
    files: usize,
    bytes: u64,
    entries: usize,
}

impl Writer<'_> {
    fn put(&mut self, name: &Path, content: &mut dyn Read) -> Result<(), String> {
        self.entries += 1;
        if self.entries > ENTRIES {
            return Err(format!("the archive has more than {ENTRIES} entries"));
        }
        let is_yaml = name.extension().is_some_and(|extension| extension == "yml" || extension == "yaml");
        if !is_yaml {
            return Ok(());
        }
        let Some(relative) = inside(name) else {
            return Err(format!("the archive's entry '{}' leaves it", name.display()));
        };
        let path = self.into.join(relative);
        let fail = |error: std::io::Error| format!("{}: {error}", path.display());
        let room = UNPACKED_BYTES - self.bytes;
        let mut bytes = Vec::new();
        content.take(room + 1).read_to_end(&mut bytes).map_err(fail)?;
        self.bytes += bytes.len() as u64;
        if self.bytes > UNPACKED_BYTES {
            return Err(format!("the archive's rules have more than {UNPACKED_BYTES} bytes"));
        }
        fs::create_dir_all(path.parent().unwrap_or(self.into)).map_err(fail)?;
        fs::write(&path, bytes).map_err(fail)?;
        self.files += 1;
        Ok(())
    }
}

/// A path that stays inside of its folder.
fn inside(path: &Path) -> Option<PathBuf> {
    let mut safe = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(name) => safe.push(name),
            Component::CurDir => {}
            _ => return None,
        }
    }
    Some(safe)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn zipped(files: &[(&str, &str)]) -> Vec<u8> {
        let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
        for (name, text) in files {
            zip.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
            zip.write_all(text.as_bytes()).unwrap();
        }
        zip.finish().unwrap().into_inner()
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sandsift-sync-{}-{name}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(&folder).unwrap();
        folder
    }

    #[test]
    fn an_archive_takes_the_place_of_the_old_rules() {
        let root = folder("swap");
        let path = root.join("rules");
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("old.yml"), "old").unwrap();
        let archive = zipped(&[("sigma/rules/a.yml", "a"), ("sigma/README.md", "no rule")]);
        assert_eq!(replace(&path, &archive, Some("sigma/rules")), Ok(1));
        assert_eq!(fs::read_to_string(path.join("a.yml")).unwrap(), "a");
        assert!(!path.join("old.yml").exists());
        assert_eq!(fs::read_dir(&root).unwrap().count(), 1, "nothing is left beside");
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn what_cannot_be_unpacked_leaves_the_old_rules() {
        let root = folder("keep");
        let path = root.join("rules");
        fs::create_dir_all(&path).unwrap();
        fs::write(path.join("old.yml"), "old").unwrap();
        for archive in [b"no archive".to_vec(), zipped(&[("README.md", "x")]), zipped(&[("../evil.yml", "x")])] {
            assert!(replace(&path, &archive, None).is_err());
            assert_eq!(fs::read_to_string(path.join("old.yml")).unwrap(), "old");
        }
        assert!(!root.join("evil.yml").exists());
        fs::remove_dir_all(root).unwrap();
    }

    #[test]
    fn only_https_is_fetched() {
        assert!(fetch("http://example.org/rules.zip").is_err());
        assert!(fetch("file:///etc/passwd").is_err());
    }
}
