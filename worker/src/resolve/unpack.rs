//! Owns unpacking within bounds: what counts are the bytes that come out, not what a header says.

use crate::config::Limits;
use crate::error::{Code, Failure};
use std::io::Read;

/// The largest window that a zstd frame may ask for, as a power of two: 128 MiB, what `zstd --long` writes.
const ZSTD_WINDOW_LOG: u32 = 27;

/// Unpacks `zstd` or `gzip`.
pub(super) fn unpack(index: usize, encoding: &str, packed: &[u8], limits: &Limits) -> Result<Vec<u8>, Failure> {
    let undecodable =
        |error: std::io::Error| Failure::new(Code::ArtifactEncoding, format!("artifact {index}: {encoding}: {error}"));
    match encoding {
        "gzip" => bounded(index, flate2::read::MultiGzDecoder::new(packed), packed.len(), limits),
        "zstd" => {
            let mut decoder = zstd::Decoder::new(packed).map_err(undecodable)?;
            decoder.window_log_max(ZSTD_WINDOW_LOG).map_err(undecodable)?;
            bounded(index, decoder, packed.len(), limits)
        }
        other => Err(Failure::new(Code::ArtifactEncoding, format!("artifact {index}: '{other}' is not zstd or gzip"))),
    }
}

fn bounded(index: usize, mut reader: impl Read, packed: usize, limits: &Limits) -> Result<Vec<u8>, Failure> {
    // A small artifact may well be packed better than the ratio allows.
    const ALWAYS: u64 = 1 << 20;
    let by_ratio = (packed as u64).saturating_mul(limits.unpack_ratio).max(ALWAYS);
    let (limit, name) = if by_ratio < limits.artifact_bytes {
        (by_ratio, "limits.unpack_ratio")
    } else {
        (limits.artifact_bytes, "limits.artifact_bytes")
    };
    let mut bytes = Vec::new();
    let read = reader.by_ref().take(limit + 1).read_to_end(&mut bytes);
    read.map_err(|error| Failure::new(Code::ArtifactEncoding, format!("artifact {index} does not unpack: {error}")))?;
    if bytes.len() as u64 > limit {
        let detail = format!("artifact {index}: {packed} bytes unpack to more than {limit} ({name})");
        return Err(Failure::new(Code::ArtifactTooLarge, detail));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn both_encodings_unpack() {
        let limits = Limits::default();
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        gzip.write_all(b"events").unwrap();
        assert_eq!(unpack(0, "gzip", &gzip.finish().unwrap(), &limits).unwrap(), b"events");
        assert_eq!(unpack(0, "zstd", &zstd::encode_all(&b"events"[..], 3).unwrap(), &limits).unwrap(), b"events");
    }

    #[test]
    fn a_bomb_ends_at_the_limit() {
        let limits = Limits { artifact_bytes: 4 << 20, ..Limits::default() };
        let bomb = zstd::encode_all(std::io::repeat(0).take(64 << 20), 3).unwrap();
        assert_eq!(unpack(0, "zstd", &bomb, &limits).unwrap_err().code, Code::ArtifactTooLarge);
    }

    #[test]
    fn broken_bytes_are_an_error() {
        for encoding in ["zstd", "gzip", "lzma"] {
            let error = unpack(0, encoding, b"not packed at all", &Limits::default()).unwrap_err();
            assert_eq!(error.code, Code::ArtifactEncoding);
        }
    }
}
