//! How far a long look is: a bar on standard error, where that is a terminal.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use auditx_reader::Search;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// A look that takes longer than this says how far it is.
const UNTROUBLED: Duration = Duration::from_secs(1);

const TEMPLATE: &str = "{msg} {wide_bar} {bytes} of {total_bytes}, {eta} to go";
pub(crate) const TEMPLATE_OF_LINES: &str = "{msg} {wide_bar} {human_pos} of {human_len} lines, {eta} to go";

/// Told how many bytes, or lines, of how many are done.
pub(crate) struct Progress {
    bar: ProgressBar,
    is_shown: bool,
}

impl Progress {
    pub(crate) fn of(doing: &'static str) -> Self {
        Self::with(doing, TEMPLATE)
    }

    /// Told how many lines instead of bytes.
    pub(crate) fn of_lines(doing: &'static str) -> Self {
        Self::with(doing, TEMPLATE_OF_LINES)
    }

    fn with(doing: &'static str, template: &str) -> Self {
        // It counts from the beginning, so that what it then says about the rest is right.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_message(doing);
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: bar.with_style(style), is_shown: false }
    }

    pub(crate) fn tell(&mut self, done: u64, total: u64) {
        // A trail may grow meanwhile.
        self.bar.set_length(total.max(done));
        self.bar.set_position(done);
        if !self.is_shown && self.bar.elapsed() >= UNTROUBLED {
            self.is_shown = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

/// A search that says how far it is. Where its results go to a terminal they say it themselves.
pub(crate) fn watched(search: Search, doing: &'static str) -> Search {
    let progress = Mutex::new(Progress::of(doing));
    search.progress(move |done, total| {
        progress.lock().unwrap_or_else(PoisonError::into_inner).tell(done, total);
    })
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
