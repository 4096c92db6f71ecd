//! Messages that the application writes to app.log.

use auditx_format::context::{ContextFields, RequestContext};
use auditx_format::vocabulary::LogLevel;
use serde_json::{Map, Value, json};

use super::AuditLogger;

impl AuditLogger {
    /// Writes a message for developers to app.log, which is not part of the trail.
    ///
    /// `fields` is a JSON object; any other value is written as `{"value": …}`, and null is omitted. The user
    /// and the request id of the current context are added. Failures are counted in
    /// [`Metrics`](crate::Metrics).
    pub fn debug(&self, message: &str, fields: Value) {
        self.app_log(LogLevel::Debug, message, fields);
    }

    /// Writes a message for operators to app.log; see [`AuditLogger::debug`].
    pub fn info(&self, message: &str, fields: Value) {
        self.app_log(LogLevel::Info, message, fields);
    }

    /// Writes a warning to app.log; see [`AuditLogger::debug`].
    pub fn warning(&self, message: &str, fields: Value) {
        self.app_log(LogLevel::Warning, message, fields);
    }

    /// Writes an error to app.log; see [`AuditLogger::debug`].
    pub fn error(&self, message: &str, fields: Value) {
        self.app_log(LogLevel::Error, message, fields);
    }

    /// Writes a message that needs immediate action to app.log; see [`AuditLogger::debug`].
    pub fn critical(&self, message: &str, fields: Value) {
        self.app_log(LogLevel::Critical, message, fields);
    }

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
        core.writer.write_message(level, message, &fields);
    }
}
