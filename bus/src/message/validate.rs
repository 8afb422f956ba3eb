//! Owns the reading of a completion that a stranger sent: what is wrong is named by its path, with a stable code.
//!
//! A message never brings a URL or a path of its own: an artifact is inline or names a configured store and a key of a
//! strict alphabet.

use super::{Artifact, Completion, Sample, Sandbox, envelope};
use serde_json::{Map, Value};

/// Platforms that have a queue.
pub const PLATFORMS: [&str; 3] = ["windows", "linux", "macos"];

/// Bytes that a completion's id may have: it travels as a message id, which AMQP bounds to 255.
pub const ID_BYTES: usize = 200;

/// Bytes that a short text (a name, a version, a kind) may have.
pub const TEXT_BYTES: usize = 1024;

/// Artifacts that one completion may have.
pub const ARTIFACTS: usize = 1000;

/// Bytes that a key into a store may have.
pub const KEY_BYTES: usize = 512;

/// Why a body is not a completion.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {problem}")]
pub struct Invalid {
    code: &'static str,
    path: String,
    problem: String,
}

impl Invalid {
    /// `completion-not-json`, `completion-envelope`, `completion-invalid`, `platform-unknown` or `artifact-invalid`.
    pub fn code(&self) -> &'static str {
        self.code
    }

    /// Where in the body, such as `sample.sha256`.
    pub fn path(&self) -> &str {
        &self.path
    }

    pub(super) fn envelope(path: &str, problem: String) -> Self {
        Self { code: "completion-envelope", path: path.into(), problem }
    }

    fn field(path: impl Into<String>, problem: impl Into<String>) -> Self {
        Self { code: "completion-invalid", path: path.into(), problem: problem.into() }
    }

    fn artifact(index: usize, name: &str, problem: impl Into<String>) -> Self {
        Self { code: "artifact-invalid", path: format!("artifacts[{index}]{name}"), problem: problem.into() }
    }
}

impl Completion {
    /// Reads a completion from a message's body: a CloudEvent or the bare data.
    ///
    /// Unknown members are ignored, so that a newer producer can talk to an older worker. The nesting of JSON is
    /// bounded by the parser (128).
    pub fn from_body(body: &[u8]) -> Result<Self, Invalid> {
        let value: Value = serde_json::from_slice(body).map_err(|error| Invalid {
            code: "completion-not-json",
            path: format!("byte {}", offset(body, &error)),
            problem: format!("not JSON: {error}"),
        })?;
        let Value::Object(object) = value else {
            return Err(Invalid::field("body", format!("must be an object, not {}", shown(Some(&value)))));
        };
        Self::from_data(envelope::open(object, envelope::COMPLETION)?)
    }

    fn from_data(mut data: Map<String, Value>) -> Result<Self, Invalid> {
        let id = required(&data, "", "id", ID_BYTES)?;
        if id.chars().any(char::is_control) {
            return Err(Invalid::field("id", "must not hold control characters"));
        }
        let platform = required(&data, "", "platform", TEXT_BYTES)?;
        if !PLATFORMS.contains(&platform.as_str()) {
            return Err(Invalid {
                code: "platform-unknown",
                path: "platform".into(),
                problem: format!("must be one of {}, not {}", PLATFORMS.join(", "), shown(data.get("platform"))),
            });
        }
        let artifacts = match data.remove("artifacts") {
            Some(Value::Array(list)) if list.len() <= ARTIFACTS => {
                list.into_iter().enumerate().map(|(index, value)| artifact(index, value)).collect::<Result<_, _>>()?
            }
            Some(Value::Array(list)) => {
                return Err(Invalid::field("artifacts", format!("{} exceed the limit of {ARTIFACTS}", list.len())));
            }
            other => return Err(Invalid::field("artifacts", format!("must be a list, not {}", shown(other.as_ref())))),
        };
        Ok(Self {
            id,
            sample: sample(object(&data, "sample")?)?,
            platform,
            sandbox: sandbox(object(&data, "sandbox")?)?,
            started: optional(&data, "", "started")?,
            finished: optional(&data, "", "finished")?,
            root_uid: optional(&data, "", "root_uid")?,
            parent_uid: optional(&data, "", "parent_uid")?,
            artifacts,
        })
    }
}

fn sample(data: &Map<String, Value>) -> Result<Sample, Invalid> {
    let sha256 = required(data, "sample.", "sha256", TEXT_BYTES)?;
    let md5 = optional(data, "sample.", "md5")?;
    if !is_hex(&sha256, 64) {
        return Err(Invalid::field("sample.sha256", "must be 64 hexadecimal digits"));
    }
    if md5.as_ref().is_some_and(|md5| !is_hex(md5, 32)) {
        return Err(Invalid::field("sample.md5", "must be 32 hexadecimal digits"));
    }
    let tags = match data.get("tags") {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(list)) if list.len() <= ARTIFACTS => list
            .iter()
            .map(|tag| match tag {
                Value::String(tag) if tag.len() <= TEXT_BYTES => Ok(tag.clone()),
                other => Err(Invalid::field("sample.tags", format!("must be short texts, not {}", shown(Some(other))))),
            })
            .collect::<Result<_, _>>()?,
        other => return Err(Invalid::field("sample.tags", format!("must be a short list, not {}", shown(other)))),
    };
    Ok(Sample {
        sha256: sha256.to_ascii_lowercase(),
        md5: md5.map(|md5| md5.to_ascii_lowercase()),
        name: optional(data, "sample.", "name")?,
        kind: optional(data, "sample.", "type")?,
        tags,
    })
}

fn sandbox(data: &Map<String, Value>) -> Result<Sandbox, Invalid> {
    Ok(Sandbox {
        name: required(data, "sandbox.", "name", TEXT_BYTES)?,
        version: optional(data, "sandbox.", "version")?,
        machine: optional(data, "sandbox.", "machine")?,
    })
}

fn artifact(index: usize, value: Value) -> Result<Artifact, Invalid> {
    let Value::Object(mut data) = value else {
        return Err(Invalid::artifact(index, "", format!("must be an object, not {}", shown(Some(&value)))));
    };
    let path = format!("artifacts[{index}].");
    let inline = data.remove("inline").filter(|inline| !inline.is_null());
    let artifact = Artifact {
        kind: optional(&data, &path, "kind")?,
        store: optional(&data, &path, "store")?,
        key: optional(&data, &path, "key")?,
        sha256: optional(&data, &path, "sha256")?.map(|digest| digest.to_ascii_lowercase()),
        bytes: match data.get("bytes") {
            None | Some(Value::Null) => None,
            Some(value) => Some(value.as_u64().ok_or_else(|| {
                Invalid::artifact(index, ".bytes", format!("must be a whole number, not {}", shown(Some(value))))
            })?),
        },
        encoding: optional(&data, &path, "encoding")?,
        inline,
    };
    match (&artifact.inline, &artifact.store) {
        (Some(_), Some(_)) => return Err(Invalid::artifact(index, "", "must be inline or name a store, not both")),
        (None, None) => {
            return Err(Invalid::artifact(index, "", "must be inline or name a store, a key, sha256 and bytes"));
        }
        (Some(_), None) if artifact.key.is_some() || artifact.encoding.is_some() => {
            return Err(Invalid::artifact(index, "", "key and encoding belong to a store, not to inline data"));
        }
        (Some(_), None) => {}
        (None, Some(_)) => claim_check(index, &artifact)?,
    }
    Ok(artifact)
}

fn claim_check(index: usize, artifact: &Artifact) -> Result<(), Invalid> {
    let Some(key) = &artifact.key else {
        return Err(Invalid::artifact(index, ".key", "is missing"));
    };
    check_key(key).map_err(|problem| Invalid::artifact(index, ".key", problem))?;
    if !artifact.sha256.as_deref().is_some_and(|digest| is_hex(digest, 64)) {
        return Err(Invalid::artifact(index, ".sha256", "must be 64 hexadecimal digits"));
    }
    if artifact.bytes.is_none() {
        return Err(Invalid::artifact(index, ".bytes", "is missing"));
    }
    match artifact.encoding.as_deref() {
        None | Some("zstd" | "gzip") => Ok(()),
        Some(_) => Err(Invalid::artifact(index, ".encoding", "must be zstd or gzip")),
    }
}

/// Holds a key to the alphabet of stores: segments of `[A-Za-z0-9._=+@-]` joined by `/`, none of them empty, `.` or
/// `..`, at most [`KEY_BYTES`] bytes.
pub fn check_key(key: &str) -> Result<(), String> {
    if key.is_empty() || key.len() > KEY_BYTES {
        return Err(format!("must have 1 to {KEY_BYTES} bytes, not {}", key.len()));
    }
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._=+@-".contains(&byte);
    for segment in key.split('/') {
        if segment.is_empty() || segment == "." || segment == ".." {
            return Err("must not hold empty, '.' or '..' segments".into());
        }
        if !segment.bytes().all(allowed) {
            return Err("may hold only letters, digits, '.', '_', '=', '+', '@', '-' and '/'".into());
        }
    }
    Ok(())
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit())
}

fn object<'a>(data: &'a Map<String, Value>, name: &str) -> Result<&'a Map<String, Value>, Invalid> {
    match data.get(name) {
        Some(Value::Object(object)) => Ok(object),
        None => Err(Invalid::field(name, "is missing")),
        other => Err(Invalid::field(name, format!("must be an object, not {}", shown(other)))),
    }
}

fn required(data: &Map<String, Value>, path: &str, name: &str, limit: usize) -> Result<String, Invalid> {
    match data.get(name) {
        None | Some(Value::Null) => Err(Invalid::field(format!("{path}{name}"), "is missing")),
        Some(Value::String(text)) if text.is_empty() => Err(Invalid::field(format!("{path}{name}"), "is empty")),
        Some(Value::String(text)) if text.len() > limit => {
            Err(Invalid::field(format!("{path}{name}"), format!("{} bytes exceed the limit of {limit}", text.len())))
        }
        Some(Value::String(text)) => Ok(text.clone()),
        other => Err(Invalid::field(format!("{path}{name}"), format!("must be a text, not {}", shown(other)))),
    }
}

fn optional(data: &Map<String, Value>, path: &str, name: &str) -> Result<Option<String>, Invalid> {
    match data.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(_) => required(data, path, name, TEXT_BYTES).map(Some),
    }
}

/// A value as a message shows it: its kind, and itself where it is short.
pub(super) fn shown(value: Option<&Value>) -> String {
    match value {
        None => "nothing".into(),
        Some(Value::Null) => "null".into(),
        Some(Value::Array(_)) => "a list".into(),
        Some(Value::Object(_)) => "an object".into(),
        Some(Value::String(text)) if text.len() > 64 => "a long text".into(),
        Some(other) => other.to_string(),
    }
}

fn offset(body: &[u8], error: &serde_json::Error) -> usize {
    let before: usize =
        body.split_inclusive(|&byte| byte == b'\n').take(error.line().saturating_sub(1)).map(<[u8]>::len).sum();
    before + error.column()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn valid() -> Value {
        json!({
            "id": "run-1", "platform": "windows",
            "sample": {"sha256": "AB".repeat(32), "name": "invoice.exe", "type": "peexe", "tags": ["cve-2017-11882"]},
            "sandbox": {"name": "cape"},
            "artifacts": [
                {"kind": "evtx.zip", "store": "fleet", "key": "9088f800/evtx.zip", "sha256": "0".repeat(64), "bytes": 5},
                {"kind": "behaviour", "inline": {"a": 1}}
            ]
        })
    }

    fn read(value: &Value) -> Result<Completion, Invalid> {
        Completion::from_body(value.to_string().as_bytes())
    }

    #[test]
    fn bare_data_and_envelope_read_the_same() {
        let bare = read(&valid()).unwrap();
        assert_eq!(bare.sample.sha256, "ab".repeat(32), "digests are kept in lower case");
        let event = envelope::CloudEvent::new(envelope::COMPLETION, &bare.id, "/test", &bare.sample.sha256, &bare);
        assert_eq!(Completion::from_body(&event.to_bytes().unwrap()).unwrap(), bare);
    }

    #[test]
    fn an_envelope_is_held_to_its_promises() {
        let event =
            json!({"specversion": "1.0", "id": "run-1", "source": "/x", "type": envelope::COMPLETION, "data": valid()});
        assert!(read(&event).is_ok());
        for (name, value, path) in [
            ("specversion", json!("0.3"), "specversion"),
            ("id", json!("other"), "id"),
            ("source", json!(null), "source"),
            ("type", json!("sandsift.completion.v2"), "type"),
            ("datacontenttype", json!("text/xml"), "datacontenttype"),
            ("data", json!([]), "data"),
            ("data_base64", json!("AA=="), "data_base64"),
        ] {
            let mut broken = event.clone();
            broken[name] = value;
            let error = read(&broken).unwrap_err();
            assert_eq!((error.code(), error.path()), ("completion-envelope", path), "{error}");
        }
    }

    #[test]
    fn what_is_wrong_is_named_by_its_path() {
        let cases: &[(&str, Value, &str, &str)] = &[
            ("/id", json!(null), "completion-invalid", "id"),
            ("/id", json!("a\u{1b}[31m"), "completion-invalid", "id"),
            ("/id", json!("x".repeat(201)), "completion-invalid", "id"),
            ("/platform", json!("solaris"), "platform-unknown", "platform"),
            ("/sample/sha256", json!("abc"), "completion-invalid", "sample.sha256"),
            ("/sample/tags", json!([1]), "completion-invalid", "sample.tags"),
            ("/sandbox", json!("cape"), "completion-invalid", "sandbox"),
            ("/artifacts", json!({}), "completion-invalid", "artifacts"),
            ("/artifacts/0/key", json!("../etc/passwd"), "artifact-invalid", "artifacts[0].key"),
            ("/artifacts/0/key", json!("/etc/passwd"), "artifact-invalid", "artifacts[0].key"),
            ("/artifacts/0/key", json!("a%2e"), "artifact-invalid", "artifacts[0].key"),
            ("/artifacts/0/bytes", json!(-1), "artifact-invalid", "artifacts[0].bytes"),
            ("/artifacts/0/sha256", json!("zz"), "artifact-invalid", "artifacts[0].sha256"),
            ("/artifacts/1/inline", json!(null), "artifact-invalid", "artifacts[1]"),
        ];
        for (pointer, value, code, path) in cases {
            let mut broken = valid();
            *broken.pointer_mut(pointer).unwrap() = value.clone();
            let error = read(&broken).unwrap_err();
            assert_eq!((error.code(), error.path()), (*code, *path), "{error}");
        }
        for body in [&b""[..], b"{", b"\xff", &b"[".repeat(100_000)] {
            assert_eq!(Completion::from_body(body).unwrap_err().code(), "completion-not-json");
        }
    }
}
