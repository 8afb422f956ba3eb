//! Owns a writer of Windows event logs (EVTX), so that tests, benchmarks and the demo have logs of any size and shape
//! without anyone else's data.
//!
//! What it writes is laid out as Windows lays it out: a file header, chunks of 64 KiB with their string and template
//! tables and checksums, records in BinXML that instantiate a template once defined in their chunk and bring only
//! their values. Source: [MS-EVEN6] 2.2.12 and the format as libevtx documents it. Reading is not done here.

mod chunk;
mod file;
mod record;
mod template;
mod value;

pub use file::{WriteError, Writer, write_all};
pub use record::{Data, Record};
pub use template::{Element, Node, Template};
pub use value::{FileTime, Guid, Sid, Value};
