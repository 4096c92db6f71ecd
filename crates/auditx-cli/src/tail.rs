//! `auditx tail`: the last entries of a trail, and new entries as they are recorded.

use std::collections::HashSet;
use std::io::{self, BufWriter};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use auditx_reader::{Error, Field, Found, Line, Lines, Moment, Order, Query, Search};
use auditx_store::lock_holder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::failure::{Failure, Status, creation_hint};
use crate::render::{Document, OutputOptions, Renderer};
use crate::selection::Filter;
use crate::summary;
use crate::terminal::{print_message, sanitized};
use crate::trail::Trail;

/// Show the last entries of a trail, and with -f new entries
///
/// The command only reads, and may run while another process writes. It reads
/// sealed and compressed segments too. Lines that cannot be read are reported on
/// standard error with file and byte offset.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    filter: Filter,
    #[command(flatten)]
    trail: Trail,
    /// Number of entries
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    lines: u64,
    /// Keep showing new entries until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    output: OutputOptions,
}

const EXAMPLES: &str = "\
Examples:
  auditx tail                                  the last ten entries of ./logs
  auditx tail --dir /var/log/erp -n 100 -f     the last hundred, and new entries
  auditx tail -f --failed --module auth        failed logins as they happen
  auditx tail -n 1000 | jq 'select(.amount > 1000000)'

Exit status: 0 entries found, 1 none, 2 an error";

/// The polling interval of an idle trail; each poll costs two system calls.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Further unreadable lines are only counted.
const MAX_REPORTED: u64 = 20;

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    // Ctrl-C is the normal end of following: the process exits at once with status 0, wherever it waits.
    let always = Arc::new(AtomicBool::new(true));
    signal_hook::flag::register_conditional_shutdown(signal_hook::consts::SIGINT, 0, always)
        .map_err(|error| Failure::new(format!("cannot prepare for Ctrl-C: {error}")))?;

    let renderer = arguments.output.renderer(None, arguments.filter.zone())?;
    if arguments.follow && renderer.has_footer() {
        return Err(Failure::new("-o json writes one array, which never ends with -f: use -o ndjson"));
    }
    let query = arguments.filter.query(Moment::now())?;
    arguments.filter.warn(&query);
    let document = renderer.document(BufWriter::new(io::stdout().lock()));
    let mut tail = Tail {
        renderer: &renderer,
        document,
        query,
        shown: 0,
        unreadable: 0,
        has_failed: false,
        newest: None,
        pending: HashSet::new(),
    };
    // Opened before the search, so that entries recorded during the search are shown, and only once.
    let mut lines = Lines::last(arguments.trail.directory(), 0)?;
    tail.show_last(arguments)?;
    tail.show_all(&mut lines)?;
    if arguments.follow {
        if tail.shown + tail.unreadable == 0 && arguments.lines > 0 {
            print_message(&format!("waiting for the first entry in {}", arguments.trail.display_path()));
        }
        while !tail.has_failed && has_reader()? {
            tail.show_all(&mut lines)?;
        }
    } else {
        tail.report_unfinished(&lines, arguments);
    }
    tail.sum_up(arguments)
}

/// Waits for [`PAUSE`]. Returns `false` once the reader of standard output has closed it.
fn has_reader() -> Result<bool, Failure> {
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    match poll(&mut watched, Some(&PAUSE)) {
        Ok(_) => Ok(!watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)),
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(Failure::new(format!("cannot wait for new entries: {error}"))),
    }
}

struct Tail<'s> {
    renderer: &'s Renderer,
    document: Document<'s, BufWriter<io::StdoutLock<'static>>>,
    query: Query,
    shown: u64,
    unreadable: u64,
    has_failed: bool,
    /// The seq of the last line shown.
    newest: Option<u64>,
    /// The ids of pending entries that were already shown.
    pending: HashSet<String>,
}

impl Tail<'_> {
    /// Shows the last matching entries, oldest first.
    fn show_last(&mut self, arguments: &Arguments) -> Result<(), Failure> {
        if arguments.lines == 0 {
            return Ok(());
        }
        let search = Search::new(arguments.trail.directory())
            .query(self.query.clone())
            .order(Order::NewestFirst)
            .limit(arguments.lines);
        let mut newest_first = Vec::new();
        let summary = search.each(|found| {
            let mut text = Vec::new();
            self.renderer.render(&found, &mut text);
            match found.row.seq() {
                Some(seq) => self.newest = self.newest.max(Some(seq)),
                None => drop(self.pending.insert(found.row.text(Field::Id).into_owned())),
            }
            newest_first.push(text);
            ControlFlow::Continue(())
        })?;
        self.has_failed |= summary::report(&summary, false) == Status::Error;
        self.shown += summary.found;
        newest_first.iter().rev().try_for_each(|text| self.document.write(text))?;
        Ok(self.document.flush()?)
    }

    /// Shows all lines that are available now.
    fn show_all(&mut self, lines: &mut Lines) -> Result<(), Failure> {
        loop {
            match lines.next_line() {
                Ok(Some(line)) => self.show(&line)?,
                Ok(None) => return Ok(self.document.flush()?),
                Err(error) => {
                    self.document.flush()?;
                    self.has_failed = true;
                    print_message(&sanitized(&error.to_string()));
                }
            }
        }
    }

    fn show(&mut self, line: &Line) -> Result<(), Failure> {
        let row = match line.row() {
            Ok(row) => row,
            Err(error) => return self.report_unreadable(&error),
        };
        let is_new = (self.newest.is_none() || row.seq() > self.newest)
            && (self.pending.is_empty() || !self.pending.remove(&*row.text(Field::Id)));
        if is_new && self.query.matches(&row) {
            self.shown += 1;
            let mut text = Vec::new();
            // New entries are signed within about a second, so they are not marked as unsigned.
            let found = Found { row: &row, path: line.path(), offset: line.offset(), is_unsigned: false };
            self.renderer.render(&found, &mut text);
            self.document.write(&text)?;
        }
        Ok(())
    }

    /// Reports an unreadable line, in order with the entries.
    fn report_unreadable(&mut self, error: &Error) -> Result<(), Failure> {
        self.unreadable += 1;
        if self.unreadable <= MAX_REPORTED {
            self.document.flush()?;
            print_message(&format!("unreadable line: {}", sanitized(&error.to_string())));
        }
        Ok(())
    }

    /// Reports an unfinished last line that a killed process left, if no process is writing the trail.
    fn report_unfinished(&self, lines: &Lines, arguments: &Arguments) {
        if let Some(unfinished) = lines.unfinished()
            && matches!(lock_holder(arguments.trail.directory()), Ok(None))
        {
            print_message(&format!(
                "an unfinished line of {} bytes ({}, byte {}): \
                 the next process that opens the trail moves it to a separate file",
                unfinished.bytes,
                sanitized(&lines.active_path().to_string_lossy()),
                unfinished.offset
            ));
        }
    }

    fn sum_up(mut self, arguments: &Arguments) -> Result<Status, Failure> {
        self.has_failed |= !self.document.end()?;
        match self.unreadable {
            0 => {}
            1 => print_message("1 line could not be read"),
            more => print_message(&format!("{more} lines could not be read")),
        }
        if self.has_failed {
            return Ok(Status::Error);
        }
        // Following ends when its reader does; that nothing was shown is not a failure.
        if self.shown > 0 || arguments.lines == 0 || arguments.follow {
            return Ok(Status::Success);
        }
        if self.unreadable == 0 {
            let trail = &arguments.trail;
            let (what, hint) = if arguments.filter.is_empty() {
                ("no entries", creation_hint(trail.directory()))
            } else {
                ("nothing found", String::new())
            };
            print_message(&format!("{what} in {}{hint}", trail.display_path()));
        }
        Ok(Status::Negative)
    }
}
