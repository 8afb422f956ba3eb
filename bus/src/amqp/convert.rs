//! Owns the translation between AMQP's tables and JSON, and of properties both ways.

use crate::transport::{Error, Properties};
use lapin::BasicProperties;
use lapin::types::{AMQPValue, FieldArray, FieldTable, LongString, ShortString};
use serde_json::{Map, Value};

/// A name that AMQP can carry: at most 255 bytes.
pub(super) fn short(text: &str) -> Result<ShortString, Error> {
    ShortString::try_new(text)
        .map_err(|_| Error::Configuration(format!("a name of {} bytes exceeds AMQP's limit of 255", text.len())))
}

pub(super) fn table(map: &Map<String, Value>) -> Result<FieldTable, Error> {
    let mut table = FieldTable::default();
    for (name, value) in map {
        table.insert(short(name)?, to_amqp(value)?);
    }
    Ok(table)
}

fn to_amqp(value: &Value) -> Result<AMQPValue, Error> {
    Ok(match value {
        Value::Null => AMQPValue::Void,
        Value::Bool(truth) => AMQPValue::Boolean(*truth),
        Value::Number(number) => match (number.as_i64(), number.as_f64()) {
            (Some(whole), _) => AMQPValue::LongLongInt(whole),
            (None, Some(double)) => AMQPValue::Double(double),
            (None, None) => AMQPValue::LongString(LongString::from(number.to_string())),
        },
        Value::String(text) => AMQPValue::LongString(LongString::from(text.as_str())),
        Value::Array(list) => {
            let mut array = FieldArray::default();
            for item in list {
                array.push(to_amqp(item)?);
            }
            AMQPValue::FieldArray(array)
        }
        Value::Object(map) => AMQPValue::FieldTable(table(map)?),
    })
}

pub(super) fn map(table: &FieldTable) -> Map<String, Value> {
    table.inner().iter().map(|(name, value)| (name.to_string(), to_json(value))).collect()
}

fn to_json(value: &AMQPValue) -> Value {
    match value {
        AMQPValue::Boolean(truth) => Value::from(*truth),
        AMQPValue::ShortShortInt(number) => Value::from(*number),
        AMQPValue::ShortShortUInt(number) => Value::from(*number),
        AMQPValue::ShortInt(number) => Value::from(*number),
        AMQPValue::ShortUInt(number) => Value::from(*number),
        AMQPValue::LongInt(number) => Value::from(*number),
        AMQPValue::LongUInt(number) => Value::from(*number),
        AMQPValue::LongLongInt(number) => Value::from(*number),
        AMQPValue::Float(number) => Value::from(*number),
        AMQPValue::Double(number) => Value::from(*number),
        AMQPValue::DecimalValue(decimal) => Value::from(f64::from(decimal.value) / 10_f64.powi(decimal.scale.into())),
        AMQPValue::ShortString(text) => Value::from(text.as_str()),
        AMQPValue::LongString(text) => Value::from(text.to_string()),
        AMQPValue::FieldArray(array) => array.as_slice().iter().map(to_json).collect(),
        AMQPValue::Timestamp(seconds) => Value::from(*seconds),
        AMQPValue::FieldTable(table) => Value::Object(map(table)),
        AMQPValue::ByteArray(bytes) => Value::from(String::from_utf8_lossy(bytes.as_slice()).into_owned()),
        AMQPValue::Void => Value::Null,
    }
}

/// Every message is persistent: a dead letter keeps the mode, and a transient one would die with the broker.
const PERSISTENT: u8 = 2;

pub(super) fn to_basic(properties: &Properties) -> Result<BasicProperties, Error> {
    let mut basic = BasicProperties::default().with_delivery_mode(PERSISTENT);
    let text = |value: &Option<String>| value.as_deref().map(short).transpose();
    if let Some(value) = text(&properties.content_type)? {
        basic = basic.with_content_type(value);
    }
    if let Some(value) = text(&properties.content_encoding)? {
        basic = basic.with_content_encoding(value);
    }
    if let Some(value) = text(&properties.message_id)? {
        basic = basic.with_message_id(value);
    }
    if let Some(value) = text(&properties.kind)? {
        basic = basic.with_type(value);
    }
    if let Some(value) = text(&properties.correlation_id)? {
        basic = basic.with_correlation_id(value);
    }
    if let Some(value) = text(&properties.app_id)? {
        basic = basic.with_app_id(value);
    }
    if let Some(seconds) = properties.timestamp {
        basic = basic.with_timestamp(seconds);
    }
    if !properties.headers.is_empty() {
        basic = basic.with_headers(table(&properties.headers)?);
    }
    Ok(basic)
}

pub(super) fn from_basic(basic: &BasicProperties) -> Properties {
    let text = |value: &Option<ShortString>| value.as_ref().map(ToString::to_string);
    Properties {
        content_type: text(basic.content_type()),
        content_encoding: text(basic.content_encoding()),
        message_id: text(basic.message_id()),
        kind: text(basic.kind()),
        correlation_id: text(basic.correlation_id()),
        app_id: text(basic.app_id()),
        timestamp: *basic.timestamp(),
        headers: basic.headers().as_ref().map(map).unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn headers_survive_the_way_there_and_back() {
        let headers = json!({"x-attempt": 3, "code": "artifact-digest", "deep": {"list": [1, "two", true, null]}});
        let Value::Object(headers) = headers else { panic!() };
        let properties = Properties {
            message_id: Some("run-1".into()),
            timestamp: Some(5),
            headers: headers.clone(),
            ..Properties::default()
        };
        assert_eq!(from_basic(&to_basic(&properties).unwrap()), properties);
    }

    #[test]
    fn a_long_name_is_an_error_and_no_panic() {
        let properties = Properties { message_id: Some("x".repeat(300)), ..Properties::default() };
        assert_eq!(to_basic(&properties).unwrap_err().code(), "configuration");
    }
}
