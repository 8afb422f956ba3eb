//! Owns what ships inside the binary: all of `rules/`, so that it works without a single file beside it.

/// A file under `rules/`.
#[derive(Debug, Clone, Copy)]
pub struct File {
    /// Its path below `rules/`, with `/`.
    pub path: &'static str,
    /// Its content.
    pub bytes: &'static [u8],
}

/// The name of the source that the shipped rules make.
pub const SOURCE: &str = "Sandsift";

/// The licence of what ships.
pub const LICENCE: &str = "Apache-2.0";

/// Every YAML file under `rules/`, by path.
pub static FILES: &[File] = include!(concat!(env!("OUT_DIR"), "/shipped.rs"));

/// What a file under `rules/` is, by its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// A rule, a correlation or a filter.
    Rule,
    /// How a format's records become events.
    Mapping,
    /// How a sandbox's own tooling is recognised.
    Origin,
    /// Test cases beside any of these.
    Test,
}

/// The class of a file by its path below the folder that it was found in, with `/`.
pub fn class_of(path: &str) -> Class {
    if is_test(path) {
        Class::Test
    } else if path.starts_with("mappings/") {
        Class::Mapping
    } else if path.starts_with("origins/") {
        Class::Origin
    } else {
        Class::Rule
    }
}

/// Whether a file holds test cases (`*.test.yml`).
pub fn is_test(path: &str) -> bool {
    path.ends_with(".test.yml") || path.ends_with(".test.yaml")
}

/// The files of a class.
pub fn files(class: Class) -> impl Iterator<Item = &'static File> {
    FILES.iter().filter(move |file| class_of(file.path) == class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn folders_decide_what_a_file_is() {
        assert_eq!(class_of("linux/process_creation/crontab.yml"), Class::Rule);
        assert_eq!(class_of("linux/process_creation/crontab.test.yml"), Class::Test);
        assert_eq!(class_of("mappings/cape.yml"), Class::Mapping);
        assert_eq!(class_of("mappings/cape.test.yml"), Class::Test);
        assert_eq!(class_of("origins/cape.yml"), Class::Origin);
        assert_eq!(class_of("filters/noise.yml"), Class::Rule);
    }
}
