//! Windows event logs, whatever they are written in: what a record means in Sigma's taxonomy. The formats themselves
//! (binary, XML, JSON) hand the parts of a record to [`WindowsRecord`] and know no rule.

mod builtin;
mod documents;
mod flat;
mod json;
mod logsource;
mod plain;
mod record;
mod text;
mod values;
mod xml;

pub(crate) use json::{EventJson, fill as json_record};
pub(crate) use plain::Plain;
pub(crate) use record::{Role, WindowsRecord};
pub(crate) use text::decode as decode_text;
pub(crate) use xml::{EventXml, fill as xml_record};
