//! Progress bars for long operations, on standard error if it is a terminal.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use auditx_reader::Search;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Operations that take longer than this show a bar.
const DELAY: Duration = Duration::from_secs(1);

const TEMPLATE: &str = "{msg} {wide_bar} {bytes} of {total_bytes}, {eta} to go";
pub(crate) const TEMPLATE_OF_LINES: &str = "{msg} {wide_bar} {human_pos} of {human_len} lines, {eta} to go";

/// A progress bar that counts bytes or lines.
pub(crate) struct Progress {
    bar: ProgressBar,
    is_shown: bool,
}

impl Progress {
    pub(crate) fn of(doing: &'static str) -> Self {
        Self::with(doing, TEMPLATE)
    }

    /// Counts lines instead of bytes.
    pub(crate) fn of_lines(doing: &'static str) -> Self {
        Self::with(doing, TEMPLATE_OF_LINES)
    }

    fn with(doing: &'static str, template: &str) -> Self {
        // The bar exists from the start, although hidden, so that its estimate of the remaining time is
        // right.
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden()).with_message(doing);
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        Self { bar: bar.with_style(style), is_shown: false }
    }

    pub(crate) fn update(&mut self, done: u64, total: u64) {
        // A trail may grow while it is read.
        self.bar.set_length(total.max(done));
        self.bar.set_position(done);
        if !self.is_shown && self.bar.elapsed() >= DELAY {
            self.is_shown = true;
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
        }
    }
}

/// Adds a progress bar to a search.
pub(crate) fn watched(search: Search, doing: &'static str) -> Search {
    let progress = Mutex::new(Progress::of(doing));
    search.progress(move |done, total| {
        progress.lock().unwrap_or_else(PoisonError::into_inner).update(done, total);
    })
}

/// One progress bar for several searches that run at the same time.
#[derive(Clone)]
pub(crate) struct Together(Arc<Mutex<Parts>>);

struct Parts {
    progress: Progress,
    /// What each search has done, and its total.
    parts: Vec<(u64, u64)>,
}

impl Together {
    pub(crate) fn of(doing: &'static str, searches: usize) -> Self {
        let parts = Parts { progress: Progress::of(doing), parts: vec![(0, 0); searches] };
        Self(Arc::new(Mutex::new(parts)))
    }

    /// Adds the bar to the search with this index.
    pub(crate) fn watched(&self, index: usize, search: Search) -> Search {
        let all = self.clone();
        search.progress(move |done, total| {
            let Parts { progress, parts } = &mut *all.0.lock().unwrap_or_else(PoisonError::into_inner);
            parts[index] = (done, total);
            progress.update(parts.iter().map(|part| part.0).sum(), parts.iter().map(|part| part.1).sum());
        })
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.bar.finish_and_clear();
    }
}
