//! app.log: text for people, `time | LEVEL | message | {json fields}`. Not evidence: it rotates and old parts go.

use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Map, Value};

use crate::clock::{Clock, Timestamp};
use crate::encode;
use crate::metrics::Counters;
use crate::redact::Rules;
use crate::storage::{open_own, own_options};
use crate::vocabulary::LogLevel;

pub(crate) const FILE_NAME: &str = "app.log";

/// Parts kept beside the current one.
const BACKUPS: usize = 5;

#[derive(Debug)]
pub(crate) struct AppLog {
    path: PathBuf,
    max_bytes: u64,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    open: Mutex<Option<(File, u64)>>,
}

impl AppLog {
    pub(crate) fn new(
        directory: &Path,
        max_bytes: u64,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Self {
        Self { path: directory.join(FILE_NAME), max_bytes, clock, counters, open: Mutex::new(None) }
    }

    /// Writes one line. A failure is counted and reported nowhere else: there is nowhere else.
    pub(crate) fn write(
        &self,
        level: LogLevel,
        message: &str,
        fields: &Map<String, Value>,
        rules: Option<&Rules>,
    ) {
        let mut line = format!("{} | {level} | ", Timestamp::of(self.clock.now())).into_bytes();
        encode::plain_text(&mut line, message);
        if !fields.is_empty() {
            line.extend_from_slice(b" | ");
            let start = line.len();
            if encode::plain_fields(&mut line, fields, rules).is_err() {
                line.truncate(start);
                line.extend_from_slice(b"{\"unreadable\":\"fields nested too deeply\"}");
            }
        }
        line.push(b'\n');
        if self.append(&line).is_err() {
            self.counters.app_log_failures.add(1);
        }
    }

    /// A trouble of the library itself.
    pub(crate) fn trouble(&self, message: &str) {
        self.write(LogLevel::Error, message, &Map::new(), None);
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if open.as_ref().is_some_and(|(_, len)| *len + line.len() as u64 > self.max_bytes) {
            *open = None;
            self.rotate()?;
        }
        let (file, len) = match &mut *open {
            Some(open) => open,
            None => {
                let file = open_own(&self.path, own_options().append(true).create(true))?;
                let len = file.metadata()?.len();
                open.insert((file, len))
            }
        };
        file.write_all(line)?;
        *len += line.len() as u64;
        Ok(())
    }

    fn rotate(&self) -> io::Result<()> {
        let part = |number: usize| self.path.with_file_name(format!("{FILE_NAME}.{number}"));
        for number in (1..BACKUPS).rev() {
            if part(number).exists() {
                fs::rename(part(number), part(number + 1))?;
            }
        }
        fs::rename(&self.path, part(1))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::clock::SystemClock;
    use crate::redact::Redaction;

    fn app_log(directory: &Path, max_bytes: u64) -> AppLog {
        AppLog::new(directory, max_bytes, Arc::new(SystemClock), Arc::default())
    }

    #[test]
    fn a_message_stays_one_line_and_its_secrets_stay_out() {
        let directory = tempfile::tempdir().unwrap();
        let rules = Redaction::default().compile().unwrap();
        let fields = json!({"password": "p", "attempt": 2});
        app_log(directory.path(), 10_000).write(
            LogLevel::Warning,
            "two\nlines \u{1b}[31m \"quoted\"",
            fields.as_object().unwrap(),
            Some(&rules),
        );
        let text = fs::read_to_string(directory.path().join(FILE_NAME)).unwrap();
        let (time, rest) = text.split_once(" | ").unwrap();
        assert_eq!(time.len(), 27);
        assert_eq!(
            rest,
            "WARNING | two\\nlines \\u001b[31m \"quoted\" | {\"attempt\":2,\"password\":\"[REDACTED]\"}\n"
        );
    }

    #[test]
    fn it_rotates_and_keeps_five_parts() {
        let directory = tempfile::tempdir().unwrap();
        let log = app_log(directory.path(), 200);
        for number in 0..100 {
            log.write(LogLevel::Info, &format!("message {number} {}", "x".repeat(40)), &Map::new(), None);
        }
        let mut names: Vec<_> = fs::read_dir(directory.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["app.log", "app.log.1", "app.log.2", "app.log.3", "app.log.4", "app.log.5"]);
        assert!(fs::read_to_string(directory.path().join(FILE_NAME)).unwrap().contains("message 99"));
        assert_eq!(log.counters.app_log_failures.read(), 0);
    }
}
