//! Conversion of a [`Row`] into a [`StoredEntry`]. It never fails: only [`Row`] decides whether a line is an
//! entry.

use serde_json::{Map, Value};

use super::{Field, Json, Row};
use crate::amount::Amount;
use crate::error::{Error, Result};
use crate::line::{RecordedEntry, StoredEntry};

impl Row<'_> {
    /// Returns all fields of the line. Absent values are empty. Costs one allocation per present field.
    ///
    /// An amount of more than 64 characters and a status above 65535 are left out. In free-form values, a
    /// number that `f64` cannot represent becomes text.
    #[must_use]
    pub fn entry(&self) -> StoredEntry {
        let text = |field| self.text(field).into_owned();
        StoredEntry {
            seq: self.seq().or_else(|| self.raw(Field::Seq)?.parse().ok()).unwrap_or_default(),
            id: text(Field::Id),
            timestamp: text(Field::Timestamp),
            level: text(Field::Level),
            module: text(Field::Module),
            action: text(Field::Action),
            description: text(Field::Description),
            user: text(Field::User),
            user_role: text(Field::UserRole),
            on_behalf_of: text(Field::OnBehalfOf),
            company_id: text(Field::CompanyId),
            branch_id: text(Field::BranchId),
            entity_type: text(Field::EntityType),
            entity_id: text(Field::EntityId),
            reference_no: text(Field::ReferenceNo),
            amount: self.raw(Field::Amount).and_then(Amount::of_number),
            currency: text(Field::Currency),
            old_values: self.value(Field::OldValues),
            new_values: self.value(Field::NewValues),
            metadata: self.map(Field::Metadata).unwrap_or_default(),
            request_id: text(Field::RequestId),
            session_id: text(Field::SessionId),
            ip: text(Field::Ip),
            hostname: text(Field::Hostname),
            method: text(Field::Method),
            endpoint: text(Field::Endpoint),
            status: self.raw(Field::Status).and_then(|digits| digits.parse().ok()),
            success: self.is_success(),
            erased: text(Field::Erased),
            control_record: self.map(Field::Auditx),
        }
    }

    fn value(&self, field: Field) -> Value {
        self.raw(field).map_or(Value::Null, value)
    }

    fn map(&self, field: Field) -> Option<Map<String, Value>> {
        match self.value(field) {
            Value::Object(map) => Some(map),
            _ => None,
        }
    }
}

impl RecordedEntry<'_> {
    /// Parses the line. Costs one pass over it and an allocation per field.
    ///
    /// # Errors
    /// `is_corrupt` if the line is not an entry.
    pub fn parse(&self) -> Result<StoredEntry> {
        let row = Row::read_text(self.line()).map_err(|why| {
            Error::corrupt(format!("line {} is not an entry", self.seq())).with_seq(self.seq()).because(why)
        })?;
        Ok(row.entry())
    }
}

/// Parses a value that [`Row`] has validated.
fn value(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| tolerant(Json::of(json)))
}

/// The fallback if a number is out of range for `serde_json`.
fn tolerant(json: Json<'_>) -> Value {
    match json {
        Json::Null => Value::Null,
        Json::Bool(is_true) => Value::Bool(is_true),
        Json::Number(digits) => {
            serde_json::from_str(digits).map_or_else(|_| Value::String(digits.to_owned()), Value::Number)
        }
        Json::Text(_) => Value::String(json.text().unwrap_or_default().into_owned()),
        Json::Object(_) => {
            let members = json.members().map(|(key, value)| (key.into_owned(), tolerant(value)));
            Value::Object(members.collect())
        }
        Json::Array(_) => Value::Array(json.items().map(tolerant).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(line: &str) -> StoredEntry {
        Row::read_text(line).unwrap().entry()
    }

    #[test]
    fn an_entry_has_every_field_of_its_line() {
        let mut line = String::from("{\"seq\":7");
        for field in Field::ALL.into_iter().filter(|field| field.kind() == super::super::FieldKind::Text) {
            line += &format!(",\"{0}\":\"{0}\\u00e9\"", field.name());
        }
        line += r#","amount":1250000.10,"old_values":{"a":[1]},"new_values":null,"metadata":{"b":"c"},"#;
        line += r#""status":404,"success":true,"auditx":{"kind":"open"}}"#;
        let entry = entry(&line);
        let texts = [&entry.id, &entry.timestamp, &entry.on_behalf_of, &entry.endpoint, &entry.erased];
        assert_eq!(texts, ["idé", "timestampé", "on_behalf_ofé", "endpointé", "erasedé"]);
        assert_eq!((entry.seq, entry.status, entry.success), (7, Some(404), true));
        assert_eq!(entry.amount.unwrap().to_string(), "1250000.10");
        let values = serde_json::json!([{"a": [1]}, null, {"b": "c"}, {"kind": "open"}]);
        let record = entry.control_record.unwrap();
        assert_eq!(values, serde_json::json!([entry.old_values, entry.new_values, entry.metadata, record]));
    }

    #[test]
    fn out_of_range_values_are_left_out_or_kept_as_text() {
        let long = "9".repeat(65);
        let values = r#"{"x":1e400,"y":[1,-1e999],"z":"\u0041"}"#;
        let line = format!(r#"{{"seq":7,"amount":{long},"old_values":{values},"status":70000}}"#);
        let entry = entry(&line);
        assert_eq!((entry.amount, entry.status), (None, None));
        assert_eq!(entry.old_values, serde_json::json!({"x": "1e400", "y": [1, "-1e999"], "z": "A"}));
    }
}
