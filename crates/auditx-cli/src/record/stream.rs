//! `auditx record --ndjson`: records the objects of standard input as they arrive.
//!
//! Each line is answered with its number and the id of its entry, or `-` if it was refused, in the order of
//! the input. The answers are printed before a read that may wait for input, so that a program can write a
//! line and wait for its answer. With `--durable` the entries are waited for at that point: what arrived at
//! once shares an fdatasync(2).

use std::fs::File;
use std::io;
use std::os::fd::AsFd;

use auditx_core::{AuditLogger, EntryBuilder, Receipt};

use super::answers::Answers;
use super::lines::{Line, Lines, MAX_LEN};
use super::object;
use super::refusal::Refusal;
use crate::failure::{Failure, Status};
use crate::terminal::print_message;

#[derive(Debug)]
pub(super) struct Stream<'l> {
    logger: &'l AuditLogger,
    is_durable: bool,
    answers: Answers,
    /// With `--durable`: the lines that are answered at the next [`Stream::settle`]. No more than one read
    /// has.
    awaited: Vec<(u64, Option<Receipt>)>,
    has_refused: bool,
}

impl<'l> Stream<'l> {
    pub(super) fn new(logger: &'l AuditLogger, is_durable: bool) -> Self {
        Self { logger, is_durable, answers: Answers::new(), awaited: Vec::new(), has_refused: false }
    }

    /// Records every line up to the end of the input.
    pub(super) fn run(mut self) -> Result<Status, Failure> {
        let recorded = self.record_all();
        // If recording failed, the lines before are recorded nevertheless.
        let settled = self.settle();
        let printed = self.answers.end();
        recorded.and(settled).and(printed)?;
        Ok(if self.has_refused { Status::Negative } else { Status::Success })
    }

    fn record_all(&mut self) -> Result<(), Failure> {
        let unreadable = |error: io::Error| Failure::new(format!("cannot read standard input: {error}"));
        // Not `Stdin`, which does not say whether a read would wait.
        let input = io::stdin().as_fd().try_clone_to_owned().map_err(unreadable)?;
        let mut lines = Lines::new(File::from(input));
        loop {
            if !lines.has_buffered() {
                self.settle()?;
            }
            let Some((number, line)) = lines.next().map_err(unreadable)? else { return Ok(()) };
            self.record(number, &line)?;
        }
    }

    /// Records a line. Reports a line that is not an entry, and ignores a blank one.
    fn record(&mut self, number: u64, line: &Line<'_>) -> Result<(), Failure> {
        let entry = match line {
            Line::Bytes(bytes) if bytes.trim_ascii().is_empty() => return Ok(()),
            Line::Bytes(bytes) => text(bytes).and_then(|text| object::entry(self.logger, text)),
            Line::TooLong => Err(Refusal::new(format!("longer than {MAX_LEN} bytes"))),
        };
        let refusal = match entry.map(EntryBuilder::record) {
            Ok(Ok(receipt)) => {
                self.answer(number, Some(receipt));
                return Ok(());
            }
            Ok(Err(error)) => Refusal::of_record(error).map_err(|failure| {
                Failure::new(format!("line {number} and the lines after it were not recorded: {failure}"))
            })?,
            Err(refusal) => refusal,
        };
        self.has_refused = true;
        print_message(&format!("line {number}: {refusal}"));
        self.answer(number, None);
        Ok(())
    }

    /// Answers a line, with `--durable` at the next [`Stream::settle`].
    fn answer(&mut self, number: u64, receipt: Option<Receipt>) {
        match receipt {
            receipt if self.is_durable => self.awaited.push((number, receipt)),
            Some(receipt) => self.answers.print(format_args!("{number} {}", receipt.id())),
            None => self.answers.print(format_args!("{number} -")),
        }
    }

    /// Waits until what was recorded is durable, if that is wanted, and prints the answers.
    fn settle(&mut self) -> Result<(), Failure> {
        // The last one is durable last. Once it is, the others need no wait.
        if let Some(last) = self.awaited.iter().rev().find_map(|(_, receipt)| receipt.as_ref()) {
            last.wait_durable()?;
        }
        for (number, receipt) in self.awaited.drain(..) {
            match receipt {
                Some(receipt) => {
                    let seq = receipt.wait_durable()?.seq;
                    self.answers.print(format_args!("{number} {} {seq}", receipt.id()));
                }
                None => self.answers.print(format_args!("{number} -")),
            }
        }
        self.answers.flush();
        Ok(())
    }
}

fn text(bytes: &[u8]) -> Result<&str, Refusal> {
    std::str::from_utf8(bytes)
        .map_err(|error| Refusal::new(format!("not UTF-8, {} bytes into the line", error.valid_up_to())))
}
