//! What is said about a shipper while it runs: only what is new, on standard error.

use std::time::{Duration, Instant};

use auditx_ship::{Progress, State};
use indicatif::{ProgressBar, ProgressStyle};

use crate::number::{counted, grouped};
use crate::progress::TEMPLATE_OF_LINES;
use crate::terminal::{complain, harmless};

/// The same trouble is told again after so long.
const AGAIN: Duration = Duration::from_secs(60);

pub(super) struct Watch {
    name: String,
    /// On a terminal only.
    bar: ProgressBar,
    told: Option<(String, Instant)>,
    parked: u64,
    /// When something was shipped or nothing was left to ship, and how far it was then.
    moved: (Instant, Standing),
    has_given_up: bool,
}

/// What changes whenever the destination takes something.
type Standing = (u64, u64, u64);

impl Watch {
    pub(super) fn of(name: String) -> Self {
        let style =
            ProgressStyle::with_template(TEMPLATE_OF_LINES).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(0).with_style(style).with_message(name.clone());
        let moved = (Instant::now(), Standing::default());
        Self { name, bar, told: None, parked: 0, moved, has_given_up: false }
    }

    pub(super) fn tell(&mut self, progress: &Progress) {
        let standing = (progress.next, progress.sent, progress.parked);
        if standing != self.moved.1 || progress.state == State::CaughtUp {
            self.moved = (Instant::now(), standing);
        }
        if progress.parked > self.parked {
            let count = counted(progress.parked - self.parked, "line");
            self.parked = progress.parked;
            self.complain(&format!(
                "{count} refused for what they say: kept in .auditx/dead/{}, and shipped without their text",
                self.name
            ));
        }
        match progress.state {
            State::Waiting => self.trouble(&progress.trouble),
            State::CaughtUp => {
                self.bar.set_length(progress.signed);
                self.bar.set_position(progress.next);
                if self.told.take().is_some() {
                    self.complain("all is well again");
                }
            }
            _ => {
                self.bar.set_length(progress.signed);
                self.bar.set_position(progress.next);
            }
        }
    }

    fn trouble(&mut self, trouble: &str) {
        let is_new = self.told.as_ref().is_none_or(|(told, at)| told != trouble || at.elapsed() >= AGAIN);
        if is_new && !trouble.is_empty() {
            self.complain(&format!("{trouble} (tries again)"));
            self.told = Some((trouble.to_owned(), Instant::now()));
        }
    }

    /// Gives up, and says so, where nothing was shipped for this long.
    pub(super) fn give_up_after(&mut self, limit: Duration, progress: &Progress) {
        if self.has_given_up || self.moved.0.elapsed() < limit {
            return;
        }
        self.has_given_up = true;
        let attempts = match progress.retries.sum() {
            0 => "the first attempt got no answer".to_owned(),
            count => format!("{} failed, last error: {}", counted(count, "attempt"), progress.trouble),
        };
        let (there, wait) = (grouped(progress.next), grouped(progress.lag()));
        self.complain(&format!(
            "gave up after {limit:?} in which nothing was shipped: {attempts}; {there} lines are there, {wait} wait"
        ));
    }

    pub(super) fn has_given_up(&self) -> bool {
        self.has_given_up
    }

    fn complain(&self, text: &str) {
        self.bar.suspend(|| complain(&self.said(text)));
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn said(&self, text: &str) -> String {
        format!("{}: {}", self.name, harmless(text))
    }

    /// How far it came.
    pub(super) fn summary(&self, progress: &Progress) -> String {
        self.bar.finish_and_clear();
        let there = grouped(progress.next);
        match progress.lag() {
            0 => format!("{}: all {there} signed lines are there.", self.name),
            lag => format!("{}: {there} lines are there, {} wait.", self.name, grouped(lag)),
        }
    }
}
