//! The lines of app.log that an application writes.

use serde_json::{Map, Value, json};

use super::AuditLogger;
use crate::context::{ContextFields, RequestContext};
use crate::vocabulary::LogLevel;

impl AuditLogger {
    /// A line for developers in app.log.
    pub fn debug(&self, message: &str, fields: Value) {
        self.app_log(LogLevel::Debug, message, fields);
    }

    /// A line for operators in app.log.
    pub fn info(&self, message: &str, fields: Value) {
        self.app_log(LogLevel::Info, message, fields);
    }

    /// A line in app.log about something to look at.
    pub fn warning(&self, message: &str, fields: Value) {
        self.app_log(LogLevel::Warning, message, fields);
    }

    /// A line in app.log about a failure.
    pub fn error(&self, message: &str, fields: Value) {
        self.app_log(LogLevel::Error, message, fields);
    }

    /// A line in app.log about something somebody must act on.
    pub fn critical(&self, message: &str, fields: Value) {
        self.app_log(LogLevel::Critical, message, fields);
    }

    /// Fields that are no JSON object appear under `value`. The request's id and user join them.
    fn app_log(&self, level: LogLevel, message: &str, fields: Value) {
        let Ok(core) = self.core() else { return };
        let mut fields = match fields {
            Value::Object(map) => map,
            Value::Null => Map::new(),
            value => Map::from_iter([("value".to_owned(), value)]),
        };
        if let Some(context) = RequestContext::try_current() {
            let ContextFields { request_id, user, .. } = context.fields();
            for (key, text) in [("request_id", request_id), ("user", user)] {
                if !text.is_empty() {
                    fields.entry(key).or_insert_with(|| json!(text));
                }
            }
        }
        core.app_log.write(level, message, &fields, Some(&core.envelope.rules));
    }
}
