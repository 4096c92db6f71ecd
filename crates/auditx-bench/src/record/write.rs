//! The simplest implementation that survives `kill -9`: serialise, then write under a mutex.
//!
//! Each thread serialises into its own reused buffer, and each line is one write(2). There are no hashes,
//! sequence numbers or queues. It is the baseline.

use std::cell::RefCell;
use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::sync::Mutex;

use super::subject::Subject;
use crate::Outcome;
use crate::facts::Facts;
use crate::output::FILE;

thread_local! {
    static LINE: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

pub(super) const SETUP: &str =
    "serde_json into a buffer of the thread, then one write(2) under a mutex; no hash, no seq, no queue";

#[derive(Debug)]
pub(super) struct Write {
    file: Mutex<File>,
}

impl Write {
    pub(super) fn open(directory: &Path) -> Outcome<Self> {
        let file = File::options().create(true).append(true).open(directory.join(FILE))?;
        Ok(Self { file: Mutex::new(file) })
    }
}

impl Subject for Write {
    fn record(&self, call: u64) -> Outcome<()> {
        LINE.with_borrow_mut(|line| {
            line.clear();
            serde_json::to_writer(&mut *line, &Facts::of(call))?;
            line.push(b'\n');
            let mut file = self.file.lock().map_err(|_| "a writer panicked")?;
            Ok(file.write_all(line)?)
        })
    }

    fn drain(self: Box<Self>) -> Outcome<()> {
        Ok(())
    }
}
