//! Owns the usual shape of a Windows event: `System` with its attributes, and `EventData` or `UserData` from a template
//! of their own.

use super::template::{Element, Node, Template};
use super::value::{FileTime, Guid, Sid, Value};
use std::sync::Arc;

const EVENT_NAMESPACE: &str = "http://schemas.microsoft.com/win/2004/08/events/event";

// Type bytes of BinXML that templates promise.
const U8: u8 = 0x04;
const U16: u8 = 0x06;
const U32: u8 = 0x08;
const U64: u8 = 0x0a;
const GUID: u8 = 0x0f;
const TIME: u8 = 0x11;
const SID: u8 = 0x13;
const HEX64: u8 = 0x15;
const BINXML: u8 = 0x21;

/// What the provider wrote of the event.
#[derive(Debug, Clone, PartialEq, Default)]
pub enum Data {
    /// Nothing.
    #[default]
    None,
    /// `EventData`; a value without a name becomes `<Data>`, a [`Value::StrArray`] several of it.
    Event(Vec<(Option<String>, Value)>),
    /// `UserData` with one element of this name and namespace, which holds an element for each value.
    User {
        /// The element's name.
        name: String,
        /// Its namespace.
        namespace: String,
        /// Names and values.
        fields: Vec<(String, Value)>,
    },
}

/// One event as a provider writes it.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs)]
pub struct Record {
    pub provider: String,
    pub provider_guid: Option<Guid>,
    pub channel: String,
    pub computer: String,
    pub event_id: u16,
    /// The upper half of an old event's id, as an attribute.
    pub qualifiers: Option<u16>,
    pub version: u8,
    pub level: u8,
    pub task: u16,
    pub opcode: u8,
    pub keywords: u64,
    pub time: FileTime,
    /// `System/EventRecordID`; absent, it is the record's number in the file.
    pub id: Option<u64>,
    pub activity: Option<Guid>,
    pub process_id: u32,
    pub thread_id: u32,
    pub user: Option<Sid>,
    pub data: Data,
}

impl Record {
    /// Makes an informational event without data.
    pub fn new(provider: &str, channel: &str, event_id: u16, time: FileTime) -> Self {
        Self {
            provider: provider.to_owned(),
            provider_guid: None,
            channel: channel.to_owned(),
            computer: "WIN10-SBX".to_owned(),
            event_id,
            qualifiers: None,
            version: 0,
            level: 4,
            task: 0,
            opcode: 0,
            keywords: 0x8000_0000_0000_0000,
            time,
            id: None,
            activity: None,
            process_id: 4,
            thread_id: 8,
            user: None,
            data: Data::None,
        }
    }

    /// Adds a named value to `EventData`.
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        let value = value.into();
        match &mut self.data {
            Data::Event(fields) => fields.push((Some(name.to_owned()), value)),
            Data::User { fields, .. } => fields.push((name.to_owned(), value)),
            Data::None => self.data = Data::Event(vec![(Some(name.to_owned()), value)]),
        }
        self
    }

    /// The template and the values of this event.
    pub(super) fn instance(&self, number: u64) -> (Template, Vec<Value>) {
        let mut values = Vec::new();
        // A null value has no type of its own, so the type that the template promises is named apart.
        let mut place_as = |value: Value, kind: u8| {
            let node = Node::Value { index: values.len() as u16, kind, optional: true };
            values.push(value);
            node
        };
        let mut provider = Element::new("Provider").text_attribute("Name", &self.provider);
        if let Some(guid) = self.provider_guid {
            let text = uuid::Uuid::from_u128(guid.0).braced().to_string();
            provider = provider.text_attribute("Guid", &text);
        }
        let mut event_id = Element::new("EventID");
        if let Some(qualifiers) = self.qualifiers {
            event_id = event_id.attribute("Qualifiers", place_as(Value::U16(qualifiers), U16));
        }
        let event_id = event_id.child(place_as(Value::U16(self.event_id), U16));
        let activity = self.activity.map_or(Value::Null, Value::Guid);
        let user = self.user.clone().map_or(Value::Null, Value::Sid);
        let system = Element::new("System")
            .element(provider)
            .element(event_id)
            .element(Element::new("Version").child(place_as(Value::U8(self.version), U8)))
            .element(Element::new("Level").child(place_as(Value::U8(self.level), U8)))
            .element(Element::new("Task").child(place_as(Value::U16(self.task), U16)))
            .element(Element::new("Opcode").child(place_as(Value::U8(self.opcode), U8)))
            .element(Element::new("Keywords").child(place_as(Value::Hex64(self.keywords), HEX64)))
            .element(Element::new("TimeCreated").attribute("SystemTime", place_as(Value::Time(self.time), TIME)))
            .element(Element::new("EventRecordID").child(place_as(Value::U64(self.id.unwrap_or(number)), U64)))
            .element(Element::new("Correlation").attribute("ActivityID", place_as(activity, GUID)))
            .element(
                Element::new("Execution")
                    .attribute("ProcessID", place_as(Value::U32(self.process_id), U32))
                    .attribute("ThreadID", place_as(Value::U32(self.thread_id), U32)),
            )
            .element(Element::new("Channel").child(Node::Text(self.channel.clone())))
            .element(Element::new("Computer").child(Node::Text(self.computer.clone())))
            .element(Element::new("Security").attribute("UserID", place_as(user, SID)));
        let mut event = Element::new("Event").text_attribute("xmlns", EVENT_NAMESPACE).element(system);
        if let Some(data) = self.data.value() {
            event = event.child(place_as(data, BINXML));
        }
        (Template::new(event), values)
    }
}

impl Data {
    /// The instance of the data's own template.
    fn value(&self) -> Option<Value> {
        let (root, values) = match self {
            Self::None => return None,
            Self::Event(fields) => {
                let mut root = Element::new("EventData");
                for (index, (name, value)) in fields.iter().enumerate() {
                    let mut data = Element::new("Data");
                    if let Some(name) = name {
                        data = data.text_attribute("Name", name);
                    }
                    root = root.element(data.child(place(index, value)));
                }
                (root, fields.iter().map(|(_, value)| value.clone()).collect())
            }
            Self::User { name, namespace, fields } => {
                let mut inner = Element::new(name).text_attribute("xmlns", namespace);
                for (index, (name, value)) in fields.iter().enumerate() {
                    inner = inner.element(Element::new(name).child(place(index, value)));
                }
                (Element::new("UserData").element(inner), fields.iter().map(|(_, value)| value.clone()).collect())
            }
        };
        Some(Value::Nested(Arc::new(Template::new(root)), values))
    }
}

/// The place of a value of `EventData` or `UserData`. Readers refuse a null in a place that is not optional.
fn place(index: usize, value: &Value) -> Node {
    Node::Value { index: index as u16, kind: value.type_code(), optional: *value == Value::Null }
}
