//! Owns BinXML templates: a definition is read once a chunk and becomes the steps that make a record's fields of its
//! values. What is not of the usual shape is left to the second reader.
//!
//! A record of Windows instantiates one template for `<Event>` with `<System>`, and in one of its values carries a
//! fragment that instantiates the provider's own, for `<EventData>` or `<UserData>`. Source: [MS-EVEN6] 2.2.12.

use super::cursor::Cursor;
use super::value::{kind, utf16};
use crate::windows::Role;

/// Where an instance of a template stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Root {
    /// It is the record.
    Record,
    /// It is a part of the event: `<EventData>` or the like.
    Part,
}

/// What makes a field's value.
#[derive(Debug)]
pub(super) enum Content {
    /// The same text in every record.
    Text(Box<str>),
    /// One of the record's values.
    Value(u16),
    /// Text and values one after another.
    Mixed(Box<[Content]>),
}

/// One step from values to fields.
#[derive(Debug)]
pub(super) enum Step {
    /// A field of `<System>`; left out when it is empty.
    System { name: Box<str>, content: Content },
    /// A field of the data.
    Data { name: Box<str>, role: Role, content: Content },
    /// A field of the data whose name is a value too.
    Named { name: u16, content: Content },
    /// A value without a name.
    Unnamed { content: Content },
    /// A value that is a part of the event, in BinXML.
    Part { value: u16 },
    /// A value inside an element that holds no text of its own: harmless unless it is BinXML.
    Inner { value: u16 },
    /// The next steps up to this many are left out where the value is null.
    Unless { value: u16, skip: usize },
}

/// A template as steps.
#[derive(Debug, Default)]
pub(super) struct Template {
    pub steps: Vec<Step>,
}

/// How deep elements of a definition may nest; real ones nest five deep.
const DEPTH: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    System,
    EventData,
    UserData,
    Other,
}

/// An element that is being read.
struct Frame {
    /// The path's length outside of it.
    outside: usize,
    /// Whether an element stands in it.
    parent: bool,
    content: Vec<Content>,
    named: Option<Named>,
    /// Where the step that may leave it out is.
    unless: Option<usize>,
}

enum Named {
    Fixed,
    Value(u16),
}

struct Compiler {
    steps: Vec<Step>,
    frames: Vec<Frame>,
    base: usize,
    part: Part,
    path: String,
}

impl Template {
    /// Reads the definition at an offset of the chunk; `None` where it is not of the usual shape. Tells how many bytes
    /// it took.
    pub(super) fn compile(chunk: &[u8], offset: usize, root: Root) -> Option<(Self, usize)> {
        let mut cursor = Cursor::new(chunk, offset, chunk.len());
        cursor.take(20)?;
        let size = cursor.u32()? as usize;
        let end = cursor.at().checked_add(size).filter(|end| *end <= chunk.len())?;
        let mut cursor = Cursor::new(chunk, cursor.at(), end);
        let base = match root {
            Root::Record => 0,
            Root::Part => 1,
        };
        let mut compiler =
            Compiler { steps: Vec::new(), frames: Vec::new(), base, part: Part::Other, path: String::new() };
        compiler.read(&mut cursor)?;
        Some((Self { steps: compiler.steps }, size))
    }
}

impl Compiler {
    fn read(&mut self, cursor: &mut Cursor<'_>) -> Option<()> {
        let mut roots = 0;
        while let Some(token) = cursor.u8() {
            match token {
                0x0f => {
                    cursor.take(3)?;
                }
                0x01 | 0x41 => {
                    roots += usize::from(self.frames.is_empty());
                    self.open(cursor, token & 0x40 != 0)?;
                }
                0x04 => self.close()?,
                0x00 => break,
                _ => {
                    let content = content(cursor, token)?;
                    let level = self.base + self.frames.len();
                    match content {
                        Content::Value(value) if level == 1 => self.steps.push(Step::Part { value }),
                        content => self.frames.last_mut()?.content.push(content),
                    }
                }
            }
        }
        (self.frames.is_empty() && roots == 1).then_some(())
    }

    /// Reads an element's start with its attributes.
    fn open(&mut self, cursor: &mut Cursor<'_>, has_attributes: bool) -> Option<()> {
        if self.frames.len() >= DEPTH {
            return None;
        }
        let dependency = cursor.u16()?;
        cursor.u32()?;
        let name = name(cursor)?;
        if has_attributes {
            cursor.u32()?;
        }
        if let Some(parent) = self.frames.last_mut() {
            parent.parent = true;
        }
        let unless = (dependency != 0xffff).then(|| {
            self.steps.push(Step::Unless { value: dependency, skip: 0 });
            self.steps.len() - 1
        });
        let outside = self.path.len();
        self.frames.push(Frame { outside, parent: false, content: Vec::new(), named: None, unless });
        let level = self.base + self.frames.len();
        if level == 2 {
            self.part = match name.as_str() {
                "System" => Part::System,
                "EventData" | "ProcessingErrorData" | "DebugData" | "BinaryEventData" => Part::EventData,
                "UserData" => Part::UserData,
                _ => Part::Other,
            };
        }
        let wrapper = self.part == Part::UserData && level == 3;
        let mut named = None;
        let mut token = cursor.u8()?;
        while matches!(token, 0x06 | 0x46) {
            let key = self::name(cursor)?;
            let mut parts = Vec::new();
            token = cursor.u8()?;
            while !matches!(token, 0x02 | 0x03 | 0x06 | 0x46) {
                parts.push(content(cursor, token)?);
                token = cursor.u8()?;
            }
            if level < 3 || key.starts_with("xmlns") {
                continue;
            }
            match (self.part, join(parts)) {
                (Part::System, Some(content)) => {
                    let name = format!("{name}_{key}").into();
                    self.steps.push(Step::System { name, content });
                }
                (Part::EventData | Part::UserData, Some(content)) if key == "Name" && !wrapper => {
                    named = Some(content);
                }
                _ => {}
            }
        }
        if level >= 3 && !wrapper {
            if !self.path.is_empty() {
                self.path.push('.');
            }
            let data = self.part == Part::EventData && level == 3 && name == "Data";
            let frame = self.frames.last_mut()?;
            match named {
                Some(Content::Text(text)) => {
                    self.path.push_str(&text);
                    frame.named = Some(Named::Fixed);
                }
                Some(Content::Value(value)) => frame.named = Some(Named::Value(value)),
                Some(Content::Mixed(_)) => return None,
                None if data => {}
                None => self.path.push_str(&name),
            }
        }
        match token {
            0x02 => Some(()),
            0x03 => self.close(),
            _ => None,
        }
    }

    /// Ends the innermost element.
    fn close(&mut self) -> Option<()> {
        let level = self.base + self.frames.len();
        let frame = self.frames.pop()?;
        let content = frame.content;
        if level < 3 || frame.parent || (self.path.is_empty() && self.part != Part::EventData) {
            // No field: only BinXML would matter here.
            for content in content {
                if let Content::Value(value) = content {
                    self.steps.push(Step::Inner { value });
                }
            }
        } else {
            let content = join(content);
            match (self.part, frame.named) {
                (Part::System, _) => {
                    if let Some(content) = content {
                        self.steps.push(Step::System { name: self.path.as_str().into(), content });
                    }
                }
                (Part::EventData | Part::UserData, Some(Named::Value(name))) => {
                    // Only a name of its own is known to be one.
                    if frame.outside != 0 {
                        return None;
                    }
                    let content = content.unwrap_or(Content::Text("".into()));
                    self.steps.push(Step::Named { name, content });
                }
                (Part::EventData | Part::UserData, _) if self.path.is_empty() => {
                    if let Some(content) = content {
                        self.steps.push(Step::Unnamed { content });
                    }
                }
                (Part::EventData | Part::UserData, _) => {
                    let name = self.path.as_str();
                    let content = content.unwrap_or(Content::Text("".into()));
                    self.steps.push(Step::Data { name: name.into(), role: Role::of(name), content });
                }
                (Part::Other, _) => {}
            }
        }
        if let Some(at) = frame.unless {
            let steps = self.steps.len() - at - 1;
            if let Some(Step::Unless { skip, .. }) = self.steps.get_mut(at) {
                *skip = steps;
            }
        }
        self.path.truncate(frame.outside);
        Some(())
    }
}

/// Reads a piece of content: text, a value's place, a character.
fn content(cursor: &mut Cursor<'_>, token: u8) -> Option<Content> {
    match token {
        0x05 | 0x45 => {
            if cursor.u8()? != kind::STRING {
                return None;
            }
            text(cursor)
        }
        0x07 | 0x47 => text(cursor),
        0x08 | 0x48 => {
            let character = char::from_u32(u32::from(cursor.u16()?)).unwrap_or(char::REPLACEMENT_CHARACTER);
            Some(Content::Text(character.to_string().into()))
        }
        0x09 | 0x49 => Some(Content::Text(
            match name(cursor)?.as_str() {
                "lt" => "<",
                "gt" => ">",
                "amp" => "&",
                "quot" => "\"",
                "apos" => "'",
                _ => return None,
            }
            .into(),
        )),
        0x0d | 0x0e => {
            let value = cursor.u16()?;
            cursor.u8()?;
            Some(Content::Value(value))
        }
        _ => None,
    }
}

fn text(cursor: &mut Cursor<'_>) -> Option<Content> {
    let units = usize::from(cursor.u16()?);
    let mut text = String::new();
    utf16(cursor.take(units * 2)?, &mut text);
    Some(Content::Text(text.into()))
}

/// Makes one content of the pieces between two tags; `None` where there is none.
fn join(mut parts: Vec<Content>) -> Option<Content> {
    match parts.len() {
        0 => None,
        1 => parts.pop(),
        _ => Some(Content::Mixed(parts.into())),
    }
}

/// Reads a reference to a name, which follows it where it stands in the chunk for the first time.
fn name(cursor: &mut Cursor<'_>) -> Option<String> {
    let offset = cursor.u32()? as usize;
    let mut at = Cursor::new(cursor.chunk(), offset, cursor.chunk().len());
    at.take(6)?;
    let units = usize::from(at.u16()?);
    let mut name = String::new();
    utf16(at.take(units * 2)?, &mut name);
    if offset == cursor.at() {
        cursor.take(6 + 2 + units * 2 + 2)?;
    }
    Some(name)
}
