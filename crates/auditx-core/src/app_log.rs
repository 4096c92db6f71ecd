//! app.log: text for people, `time | LEVEL | message | {json fields}`. Not evidence: it rotates and old parts are removed.
//!
//! Another program may rotate it as well: [`AppLog::follow_name`], which the writer calls once a second, begins a new file
//! where the old one no longer has its name.

use std::fs::File;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Map, Value};

use crate::clock::{Clock, Timestamp};
use crate::dir::{Access, Dir, FileStat};
use crate::encode;
use crate::metrics::Counters;
use crate::redact::Rules;
use crate::vocabulary::LogLevel;

pub(crate) const FILE_NAME: &str = "app.log";

/// Parts kept beside the current one.
const BACKUPS: usize = 5;

#[derive(Debug)]
pub(crate) struct AppLog {
    directory: Dir,
    max_bytes: u64,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    open: Mutex<Option<(File, u64)>>,
}

impl AppLog {
    /// Opens the file, which exists from then on. Where that fails, each line tries again.
    pub(crate) fn open(
        directory: &Dir,
        max_bytes: u64,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Self {
        let log = Self { directory: directory.clone(), max_bytes, clock, counters, open: Mutex::new(None) };
        if log.current(&mut log.lock()).is_err() {
            log.counters.app_log_failures.add(1);
        }
        log
    }

    /// Writes one line; returns whether it could. A failure is counted.
    pub(crate) fn write(
        &self,
        level: LogLevel,
        message: &str,
        fields: &Map<String, Value>,
        rules: Option<&Rules>,
    ) -> bool {
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
        let is_written = self.append(&line).is_ok();
        if !is_written {
            self.counters.app_log_failures.add(1);
        }
        is_written
    }

    /// A trouble of the library itself; on standard error as well where app.log cannot be written or nobody finds it.
    pub(crate) fn trouble(&self, message: &str) {
        if !self.write(LogLevel::Error, message, &Map::new(), None) || !self.directory.is_reachable() {
            // Nothing is left to report a failure to.
            drop(writeln!(io::stderr(), "auditx: {message}"));
        }
    }

    /// Begins a new file where another program renamed, removed or replaced the old one; says so in the new one.
    pub(crate) fn follow_name(&self) {
        let mut open = self.lock();
        let Some((file, _)) = &*open else { return };
        let Ok(named) = self.directory.stat(FILE_NAME) else { return };
        let is_ours = named.is_some_and(|named| FileStat::of(file).is_ok_and(|ours| ours.is_same(&named)));
        if is_ours {
            return;
        }
        *open = None;
        if named.is_some_and(|named| !named.is_file()) && self.directory.set_aside(FILE_NAME).is_err() {
            self.counters.app_log_failures.add(1);
            return;
        }
        drop(open);
        let what = "app.log was renamed, removed or replaced by another program; it continues in this file";
        self.write(LogLevel::Warning, what, &Map::new(), None);
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.lock();
        if open.as_ref().is_some_and(|(_, len)| *len + line.len() as u64 > self.max_bytes) {
            *open = None;
            self.rotate()?;
        }
        let (file, len) = self.current(&mut open)?;
        file.write_all(line)?;
        *len += line.len() as u64;
        Ok(())
    }

    fn current<'o>(&self, open: &'o mut Option<(File, u64)>) -> io::Result<&'o mut (File, u64)> {
        match open {
            Some(open) => Ok(open),
            None => {
                let file = self.directory.open(FILE_NAME, Access::APPEND.or_create())?;
                let len = file.metadata()?.len();
                Ok(open.insert((file, len)))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<(File, u64)>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn rotate(&self) -> io::Result<()> {
        let part = |number: usize| format!("{FILE_NAME}.{number}");
        for number in (1..BACKUPS).rev() {
            if self.directory.stat(part(number))?.is_some() {
                self.directory.rename(part(number), part(number + 1))?;
            }
        }
        self.directory.rename(FILE_NAME, part(1))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use serde_json::json;

    use super::*;
    use crate::clock::SystemClock;
    use crate::redact::Redaction;

    fn app_log(directory: &Path, max_bytes: u64) -> AppLog {
        AppLog::open(&directory.into(), max_bytes, Arc::new(SystemClock), Arc::default())
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
    fn it_begins_a_new_file_where_another_program_took_its_name() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let log = app_log(directory.path(), 10_000);
        assert_eq!(fs::read(&path).unwrap(), b"", "it exists from the first open");
        for replace in [
            |path: &Path| fs::rename(path, path.with_extension("log.old")).unwrap(),
            |path: &Path| fs::remove_file(path).unwrap(),
            |path: &Path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
        ] {
            log.trouble("before");
            replace(&path);
            log.follow_name();
            log.follow_name();
            log.trouble("after");
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.lines().count() == 2 && text.contains("by another program"), "{text}");
            assert!(text.contains("after"), "{text}");
        }
        assert!(fs::read_to_string(directory.path().join("app.log.old")).unwrap().contains("before"));
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
