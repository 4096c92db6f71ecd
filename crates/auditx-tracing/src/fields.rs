//! Collects the fields of an event or a span as JSON values; an event's message is kept separately.
//!
//! Collecting calls the application's `Display` and `Debug` implementations, so callers must not hold a lock.

use std::error::Error;
use std::fmt;

use serde_json::{Map, Value};
use tracing::Event;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Record};

const MESSAGE: &str = "message";

/// The prefix of the fields that `tracing-log` adds to a record of the `log` crate: its target and its source
/// location.
const FROM_LOG: &str = "log.";
const LOG_TARGET: &str = "log.target";

/// The prefix given to an application's field whose name the layer uses itself.
const RENAMED_PREFIX: &str = "field.";

#[derive(Debug, Default)]
pub(crate) struct Fields {
    /// The field `message`, as text.
    pub(crate) message: Option<String>,
    /// The target of a record of the `log` crate; the events of all such records share one callsite.
    pub(crate) log_target: Option<String>,
    pub(crate) values: Map<String, Value>,
}

impl Fields {
    pub(crate) fn of_event(event: &Event<'_>) -> Self {
        let mut fields = Self::default();
        event.record(&mut fields);
        fields
    }

    /// Collects the fields of a new span. A span's message is an ordinary field.
    pub(crate) fn of_span(attributes: &Attributes<'_>) -> Map<String, Value> {
        let mut fields = Self::default();
        attributes.record(&mut fields);
        fields.all()
    }

    /// Collects fields that were recorded for a span after its creation.
    pub(crate) fn of_record(record: &Record<'_>) -> Map<String, Value> {
        let mut fields = Self::default();
        record.record(&mut fields);
        fields.all()
    }

    fn all(mut self) -> Map<String, Value> {
        if let Some(message) = self.message {
            self.values.insert(MESSAGE.to_owned(), message.into());
        }
        self.values
    }

    fn put(&mut self, field: &Field, value: impl Into<Value>) {
        let (name, value) = (field.name(), value.into());
        match (name, value) {
            (MESSAGE, Value::String(text)) => self.message = Some(text),
            (MESSAGE, value) => self.message = Some(value.to_string()),
            (LOG_TARGET, Value::String(target)) => self.log_target = Some(target),
            (name, _) if name.starts_with(FROM_LOG) => {}
            (name, value) => {
                self.values.insert(name.strip_prefix("r#").unwrap_or(name).to_owned(), value);
            }
        }
    }
}

impl Visit for Fields {
    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON cannot represent NaN and the infinities.
        self.put(field, if value.is_finite() { Value::from(value) } else { value.to_string().into() });
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.put(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.put(field, value);
    }

    fn record_i128(&mut self, field: &Field, value: i128) {
        self.put(field, i64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from));
    }

    fn record_u128(&mut self, field: &Field, value: u128) {
        self.put(field, u64::try_from(value).map_or_else(|_| value.to_string().into(), Value::from));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.put(field, value);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.put(field, value);
    }

    /// Records the error and the chain of its sources.
    fn record_error(&mut self, field: &Field, value: &(dyn Error + 'static)) {
        let mut text = value.to_string();
        let mut source = value.source();
        while let Some(cause) = source {
            let cause_text = cause.to_string();
            // Many errors include their source in their own message.
            if !text.ends_with(&cause_text) {
                text = format!("{text}: {cause_text}");
            }
            source = cause.source();
        }
        self.put(field, text);
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.put(field, format!("{value:?}"));
    }
}

/// Inserts a field of the layer itself. An application's field of the same name is renamed to `field.<name>`.
pub(crate) fn insert_reserved(fields: &mut Map<String, Value>, name: &str, value: impl Into<Value>) {
    if let Some(renamed) = fields.insert(name.to_owned(), value.into()) {
        fields.insert(format!("{RENAMED_PREFIX}{name}"), renamed);
    }
}
