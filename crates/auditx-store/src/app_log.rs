//! app.log, a text log for operators: `time | LEVEL | message | {json fields}`.
//!
//! It is not part of the trail: it is rotated, and old files are removed. Of several processes that share a
//! trail, the one that writes it rotates app.log. Another program may rotate it too: [`AppLog::follow_name`],
//! which is called once a second, opens a new file if the old one was renamed.

use std::fs::File;
use std::io::{self, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use auditx_format::clock::{Clock, Timestamp};
use auditx_format::encode;
use auditx_format::redact::Rules;
use auditx_format::vocabulary::LogLevel;
use serde_json::{Map, Value};

use crate::dir::{Access, Dir, FileStat};
use crate::metrics::Counters;

pub(crate) const FILE_NAME: &str = "app.log";

/// The number of rotated files that are kept.
const BACKUPS: usize = 5;

#[derive(Debug)]
pub(crate) struct AppLog {
    directory: Dir,
    max_bytes: u64,
    clock: Arc<dyn Clock>,
    counters: Arc<Counters>,
    /// Whether this process rotates the file.
    rotates: AtomicBool,
    open: Mutex<Option<(File, u64)>>,
}

impl AppLog {
    /// Opens the file, which is created if it does not exist. If that fails, each later write tries again.
    pub(crate) fn open(
        directory: &Dir,
        max_bytes: u64,
        clock: Arc<dyn Clock>,
        counters: Arc<Counters>,
    ) -> Self {
        let (directory, rotates) = (directory.clone(), AtomicBool::new(false));
        let log = Self { directory, max_bytes, clock, counters, rotates, open: Mutex::new(None) };
        if log.current(&mut log.lock()).is_err() {
            log.counters.app_log_failures.add(1);
        }
        log
    }

    /// Writes one line. Returns `false`, and counts the failure, if it could not be written.
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

    /// Writes an error of the library itself. If app.log cannot be written, or its directory is no longer
    /// reachable under its path, the message is also written to standard error.
    pub(crate) fn report(&self, message: &str) {
        if !self.write(LogLevel::Error, message, &Map::new(), None) || !self.directory.is_reachable() {
            // A failure to write to standard error cannot be reported anywhere.
            drop(writeln!(io::stderr(), "auditx: {message}"));
        }
    }

    /// Sets whether this process rotates the file.
    pub(crate) fn set_rotates(&self, rotates: bool) {
        self.rotates.store(rotates, Ordering::Relaxed);
    }

    /// Opens a new file if the current one was renamed, removed or replaced. In the process that rotates it,
    /// another program did that, and a warning is written to the new file.
    pub(crate) fn follow_name(&self) {
        let mut open = self.lock();
        let Some((file, len)) = &mut *open else { return };
        let Ok(named) = self.directory.stat(FILE_NAME) else { return };
        if named.is_some_and(|named| FileStat::of(file).is_ok_and(|current| current.is_same(&named))) {
            // Other processes write to it as well.
            *len = named.map_or(*len, |named| named.len());
            return;
        }
        *open = None;
        if !self.rotates.load(Ordering::Relaxed) {
            return;
        }
        if named.is_some_and(|named| !named.is_file()) && self.directory.set_aside(FILE_NAME).is_err() {
            self.counters.app_log_failures.add(1);
            return;
        }
        drop(open);
        let message =
            "app.log was renamed, removed or replaced by another program; it continues in this file";
        self.write(LogLevel::Warning, message, &Map::new(), None);
    }

    fn append(&self, line: &[u8]) -> io::Result<()> {
        let mut open = self.lock();
        if self.rotates.load(Ordering::Relaxed)
            && open.as_ref().is_some_and(|(_, len)| *len + line.len() as u64 > self.max_bytes)
        {
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
        let backup = |number: usize| format!("{FILE_NAME}.{number}");
        for number in (1..BACKUPS).rev() {
            if self.directory.stat(backup(number))?.is_some() {
                self.directory.rename(backup(number), backup(number + 1))?;
            }
        }
        self.directory.rename(FILE_NAME, backup(1))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use auditx_format::clock::SystemClock;
    use auditx_format::redact::Redaction;
    use serde_json::json;

    use super::*;

    fn app_log(directory: &Path, max_bytes: u64) -> AppLog {
        let log = AppLog::open(&directory.into(), max_bytes, Arc::new(SystemClock), Arc::default());
        log.set_rotates(true);
        log
    }

    #[test]
    fn a_message_is_one_line_without_secrets() {
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
    fn a_new_file_is_opened_after_a_rename() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(FILE_NAME);
        let log = app_log(directory.path(), 10_000);
        assert_eq!(fs::read(&path).unwrap(), b"", "the file is created by `open`");
        for replace in [
            |path: &Path| fs::rename(path, path.with_extension("log.old")).unwrap(),
            |path: &Path| fs::remove_file(path).unwrap(),
            |path: &Path| {
                fs::remove_file(path).unwrap();
                fs::create_dir(path).unwrap();
            },
        ] {
            log.report("before");
            replace(&path);
            log.follow_name();
            log.follow_name();
            log.report("after");
            let text = fs::read_to_string(&path).unwrap();
            assert!(text.lines().count() == 2 && text.contains("by another program"), "{text}");
            assert!(text.contains("after"), "{text}");
        }
        assert!(fs::read_to_string(directory.path().join("app.log.old")).unwrap().contains("before"));
    }

    #[test]
    fn rotation_keeps_five_files() {
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

    #[test]
    fn a_process_that_does_not_rotate_goes_on_in_the_new_file() {
        let directory = tempfile::tempdir().unwrap();
        let (writer, other) = (app_log(directory.path(), 200), app_log(directory.path(), 200));
        other.rotates.store(false, Ordering::Relaxed);
        let names = || fs::read_dir(directory.path()).unwrap().count();
        for _ in 0..10 {
            other.report(&"x".repeat(40));
        }
        assert_eq!(names(), 1);
        writer.follow_name();
        writer.report("after the rotation");
        assert_eq!(names(), 2);
        other.follow_name();
        other.report("of the other process");
        let text = fs::read_to_string(directory.path().join(FILE_NAME)).unwrap();
        assert!(text.lines().count() == 2 && text.contains("of the other"), "{text}");
    }
}
