//! Owns the second reader: records that the first one leaves, because they are damaged or of a rare shape (no template,
//! arrays in the middle of text, fragments in fragments), go through the `evtx` crate and the XML reader. What neither
//! reads is counted as unreadable.

use crate::decode::Emitter;
use crate::decode::Repeats;
use crate::windows::{WindowsRecord, xml_record};
use std::ops::ControlFlow;
use std::sync::Arc;

/// Bytes before a record's BinXML.
const RECORD_HEADER: u64 = 24;

/// Reads the records at these offsets of a chunk, in their order.
pub(super) fn read(
    chunk: &[u8],
    at: usize,
    offsets: &[usize],
    record: &mut WindowsRecord,
    out: &mut Emitter<'_>,
) -> ControlFlow<()> {
    if offsets.is_empty() {
        return ControlFlow::Continue(());
    }
    let mut read = 0;
    let mut problem = None;
    match evtx::EvtxChunkData::new(chunk.to_vec(), false) {
        Err(error) => problem = Some(error.to_string()),
        Ok(mut data) => match data.parse(Arc::new(evtx::ParserSettings::new().indent(false))) {
            Err(error) => problem = Some(error.to_string()),
            Ok(mut parsed) => {
                for found in parsed.iter() {
                    let found = match found {
                        Ok(found) => found,
                        Err(error) => {
                            problem.get_or_insert_with(|| error.to_string());
                            continue;
                        }
                    };
                    let wanted = found.binxml_offset.checked_sub(RECORD_HEADER);
                    if !offsets.iter().any(|offset| Some(*offset as u64) == wanted) {
                        continue;
                    }
                    let text = match found.into_xml() {
                        Ok(text) => text.data,
                        Err(error) => {
                            problem.get_or_insert_with(|| error.to_string());
                            continue;
                        }
                    };
                    record.clear();
                    match xml_record(&text, out.limits().depth as usize, record) {
                        Ok(()) => {
                            read += 1;
                            record.finish(Repeats::Drop, out)?;
                        }
                        Err(error) => {
                            problem.get_or_insert(error);
                        }
                    }
                }
            }
        },
    }
    let lost = offsets.len().saturating_sub(read) as u64;
    if lost > 0 {
        let problem = problem.unwrap_or_else(|| "no reader makes sense of it".to_owned());
        out.lost_many("record-unreadable", lost, || format!("in the chunk at byte {at}: {problem}"));
    }
    ControlFlow::Continue(())
}
