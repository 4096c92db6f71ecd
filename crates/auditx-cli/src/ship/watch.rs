//! Reports the state of a running shipper on standard error, whenever it changes.

use std::time::{Duration, Instant};

use auditx_ship::{Progress, Settings, State};
use indicatif::{ProgressBar, ProgressStyle};

use crate::number::{counted, grouped};
use crate::progress::TEMPLATE_OF_LINES;
use crate::terminal::{print_message, sanitized};

/// How often the same error is reported again.
const REPEAT_AFTER: Duration = Duration::from_secs(60);

pub(super) struct Watch {
    name: String,
    /// What is shipped: `signed lines`, or with a policy `cosigned lines`.
    lines: &'static str,
    /// Shown only on a terminal.
    bar: ProgressBar,
    reported: Option<(String, Instant)>,
    parked: u64,
    /// When the shipper last made progress or was up to date, and its counters then.
    last_progress: (Instant, Counters),
    gave_up: bool,
}

/// Counters of which one changes whenever the destination accepts lines: next, sent, parked.
type Counters = (u64, u64, u64);

impl Watch {
    pub(super) fn of(name: String, settings: &Settings) -> Self {
        let style =
            ProgressStyle::with_template(TEMPLATE_OF_LINES).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(0).with_style(style).with_message(name.clone());
        let last_progress = (Instant::now(), Counters::default());
        let lines = if settings.policy.is_some() { "cosigned lines" } else { "signed lines" };
        Self { name, lines, bar, reported: None, parked: 0, last_progress, gave_up: false }
    }

    pub(super) fn update(&mut self, progress: &Progress) {
        let counters = (progress.next, progress.sent, progress.parked);
        if counters != self.last_progress.1 || progress.state == State::CaughtUp {
            self.last_progress = (Instant::now(), counters);
        }
        if progress.parked > self.parked {
            let count = counted(progress.parked - self.parked, "line");
            self.parked = progress.parked;
            self.print_message(&format!(
                "{count} rejected because of the content: kept in .auditx/dead/{}, and shipped without text",
                self.name
            ));
        }
        match progress.state {
            State::Waiting => self.report_error(&progress.last_error),
            State::CaughtUp => {
                self.bar.set_length(progress.signed);
                self.bar.set_position(progress.next);
                if self.reported.take().is_some() {
                    self.print_message("shipping again");
                }
            }
            _ => {
                self.bar.set_length(progress.signed);
                self.bar.set_position(progress.next);
            }
        }
    }

    fn report_error(&mut self, error: &str) {
        let is_new = self
            .reported
            .as_ref()
            .is_none_or(|(reported, at)| reported != error || at.elapsed() >= REPEAT_AFTER);
        if is_new && !error.is_empty() {
            self.print_message(&format!("{error} (will retry)"));
            self.reported = Some((error.to_owned(), Instant::now()));
        }
    }

    /// Gives up and reports it if the shipper made no progress for this long.
    pub(super) fn give_up_after(&mut self, limit: Duration, progress: &Progress) {
        if self.gave_up || self.last_progress.0.elapsed() < limit {
            return;
        }
        self.gave_up = true;
        let attempts = match progress.retries.sum() {
            0 => "the first attempt got no answer".to_owned(),
            count => format!("{} failed, last error: {}", counted(count, "attempt"), progress.last_error),
        };
        let (shipped, waiting) = (grouped(progress.next), grouped(progress.lag()));
        self.print_message(&format!(
            "gave up after {limit:?} without progress: {attempts}; {shipped} lines shipped, {waiting} waiting"
        ));
    }

    pub(super) fn gave_up(&self) -> bool {
        self.gave_up
    }

    fn print_message(&self, text: &str) {
        self.bar.suspend(|| print_message(&self.prefixed(text)));
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn prefixed(&self, text: &str) -> String {
        format!("{}: {}", self.name, sanitized(text))
    }

    /// Returns the final progress.
    pub(super) fn summary(&self, progress: &Progress) -> String {
        self.bar.finish_and_clear();
        let shipped = grouped(progress.next);
        match progress.lag() {
            0 => format!("{}: all {shipped} {} shipped.", self.name, self.lines),
            lag => format!("{}: {shipped} lines shipped, {} waiting.", self.name, grouped(lag)),
        }
    }
}
