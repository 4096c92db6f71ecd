//! The answers to lines, on standard output. If it is closed or fails, recording continues without printing.

use std::fmt;
use std::io::{self, BufWriter, StdoutLock, Write};

use crate::failure::Failure;

#[derive(Debug)]
pub(super) struct Answers {
    /// `None` after a failure.
    out: Option<BufWriter<StdoutLock<'static>>>,
    failure: Option<Failure>,
}

impl Answers {
    pub(super) fn new() -> Self {
        Self { out: Some(BufWriter::new(io::stdout().lock())), failure: None }
    }

    /// Prints a line at the next [`Answers::flush`], or before.
    pub(super) fn print(&mut self, line: fmt::Arguments<'_>) {
        self.write(|out| writeln!(out, "{line}"));
    }

    pub(super) fn flush(&mut self) {
        self.write(Write::flush);
    }

    fn write(&mut self, work: impl FnOnce(&mut BufWriter<StdoutLock<'static>>) -> io::Result<()>) {
        if let Some(out) = &mut self.out
            && let Err(error) = work(out)
        {
            self.failure = Some(error.into());
            self.out = None;
        }
    }

    /// Returns the first error of writing. A closed output is not an error.
    pub(super) fn end(mut self) -> Result<(), Failure> {
        self.flush();
        match self.failure {
            None | Some(Failure::OutputClosed) => Ok(()),
            Some(failure) => Err(failure),
        }
    }
}
