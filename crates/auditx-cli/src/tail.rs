//! `auditx tail`: the last entries of a trail, and new ones as they come.

use std::collections::HashSet;
use std::io::{self, BufWriter};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use auditx_core::lock_holder;
use auditx_reader::{Error, Field, Found, Line, Lines, Moment, Order, Query, Search};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::failure::{Failure, Status, how_to_make};
use crate::form::{Looks, Pages, Sheet};
use crate::question::Question;
use crate::summary;
use crate::terminal::{complain, harmless};
use crate::trail::Trail;

/// Shows the last entries of a trail, and with -f new ones as they come
///
/// It only reads, beside whatever process writes, across sealed and compressed
/// segments. Lines that cannot be read are reported on standard error, with file
/// and byte.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    question: Question,
    #[command(flatten)]
    trail: Trail,
    /// How many entries
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    lines: u64,
    /// Goes on with new entries as they come, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    #[command(flatten)]
    looks: Looks,
}

const EXAMPLES: &str = "\
Examples:
  auditx tail                                  the last ten entries of ./logs
  auditx tail --dir /var/log/erp -n 100 -f     the last hundred, and new ones as they come
  auditx tail -f --failed --module auth        failed logins, as they happen
  auditx tail -n 1000 | jq 'select(.amount > 1000000)'

Exit status: 0 entries found, 1 none, 2 an error";

/// How often a trail is looked at while it is idle: two system calls each.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Beyond this the places of unreadable lines are only counted.
const MOST_REPORTED: u64 = 20;

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    // Ctrl-C is how following ends, and nothing is lost by it: status 0, at once, wherever the program waits.
    let always = Arc::new(AtomicBool::new(true));
    signal_hook::flag::register_conditional_shutdown(signal_hook::consts::SIGINT, 0, always)
        .map_err(|error| Failure::said(format!("cannot prepare for Ctrl-C: {error}")))?;

    let sheet = arguments.looks.sheet(None, arguments.question.zone())?;
    if arguments.follow && sheet.has_end() {
        return Err(Failure::said("-o json is one array, and following has no end: use -o ndjson"));
    }
    let query = arguments.question.query(Moment::now())?;
    arguments.question.warn(&query);
    let pages = sheet.pages(BufWriter::new(io::stdout().lock()));
    let mut tail = Tail {
        sheet: &sheet,
        pages,
        query,
        shown: 0,
        unreadable: 0,
        has_failed: false,
        newest: None,
        pending: HashSet::new(),
    };
    // What is recorded while the past is searched is new, and not shown twice.
    let mut lines = Lines::last(arguments.trail.directory(), 0)?;
    tail.show_last(arguments)?;
    tail.show_all(&mut lines)?;
    if arguments.follow {
        if tail.shown + tail.unreadable == 0 && arguments.lines > 0 {
            complain(&format!("waiting for the first entry in {}", arguments.trail.place()));
        }
        while !tail.has_failed && has_reader()? {
            tail.show_all(&mut lines)?;
        }
    } else {
        tail.tell_unfinished(&lines, arguments);
    }
    tail.sum_up(arguments)
}

/// Waits a moment; false as soon as nobody reads standard output any more.
fn has_reader() -> Result<bool, Failure> {
    let stdout = io::stdout();
    let mut watched = [PollFd::new(&stdout, PollFlags::empty())];
    match poll(&mut watched, Some(&PAUSE)) {
        Ok(_) => Ok(!watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP)),
        Err(rustix::io::Errno::INTR) => Ok(true),
        Err(error) => Err(Failure::said(format!("cannot wait for new entries: {error}"))),
    }
}

struct Tail<'s> {
    sheet: &'s Sheet,
    pages: Pages<'s, BufWriter<io::StdoutLock<'static>>>,
    query: Query,
    shown: u64,
    unreadable: u64,
    has_failed: bool,
    /// The number of the line shown last.
    newest: Option<u64>,
    /// The ids of entries that were shown before they had a line.
    pending: HashSet<String>,
}

impl Tail<'_> {
    /// The last that answer the question, oldest first.
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
            self.sheet.render(&found, &mut text);
            match found.row.seq() {
                Some(seq) => self.newest = self.newest.max(Some(seq)),
                None => drop(self.pending.insert(found.row.text(Field::Id).into_owned())),
            }
            newest_first.push(text);
            ControlFlow::Continue(())
        })?;
        self.has_failed |= summary::tell(&summary, false) == Status::Error;
        self.shown += summary.found;
        newest_first.iter().rev().try_for_each(|text| self.pages.write(text))?;
        Ok(self.pages.flush()?)
    }

    /// Everything there is for now.
    fn show_all(&mut self, lines: &mut Lines) -> Result<(), Failure> {
        loop {
            match lines.next_line() {
                Ok(Some(line)) => self.show(&line)?,
                Ok(None) => return Ok(self.pages.flush()?),
                Err(error) => {
                    self.pages.flush()?;
                    self.has_failed = true;
                    complain(&harmless(&error.to_string()));
                }
            }
        }
    }

    fn show(&mut self, line: &Line) -> Result<(), Failure> {
        let row = match line.row() {
            Ok(row) => row,
            Err(error) => return self.tell_unreadable(&error),
        };
        let is_new = (self.newest.is_none() || row.seq() > self.newest)
            && (self.pending.is_empty() || !self.pending.remove(&*row.text(Field::Id)));
        if is_new && self.query.matches(&row) {
            self.shown += 1;
            let mut text = Vec::new();
            // All that is new is signed within about a second: to mark it would say nothing.
            let found = Found { row: &row, path: line.path(), offset: line.offset(), is_unsigned: false };
            self.sheet.render(&found, &mut text);
            self.pages.write(&text)?;
        }
        Ok(())
    }

    /// In its place among the others.
    fn tell_unreadable(&mut self, error: &Error) -> Result<(), Failure> {
        self.unreadable += 1;
        if self.unreadable <= MOST_REPORTED {
            self.pages.flush()?;
            complain(&format!("unreadable line: {}", harmless(&error.to_string())));
        }
        Ok(())
    }

    /// A line without an end that nobody is writing was left by a process that was killed.
    fn tell_unfinished(&self, lines: &Lines, arguments: &Arguments) {
        if let Some(unfinished) = lines.unfinished()
            && matches!(lock_holder(arguments.trail.directory()), Ok(None))
        {
            complain(&format!(
                "an unfinished line of {} bytes ({}, byte {}): the next process that opens the trail keeps it aside",
                unfinished.bytes,
                harmless(&lines.active_path().to_string_lossy()),
                unfinished.offset
            ));
        }
    }

    fn sum_up(mut self, arguments: &Arguments) -> Result<Status, Failure> {
        self.has_failed |= !self.pages.end()?;
        match self.unreadable {
            0 => {}
            1 => complain("1 line could not be read"),
            more => complain(&format!("{more} lines could not be read")),
        }
        if self.has_failed {
            return Ok(Status::Error);
        }
        // Following ends with its reader, which is no failure to find anything.
        if self.shown > 0 || arguments.lines == 0 || arguments.follow {
            return Ok(Status::Found);
        }
        if self.unreadable == 0 {
            let trail = &arguments.trail;
            let (what, hint) = if arguments.question.is_everything() {
                ("no entries", how_to_make(trail.directory()))
            } else {
                ("nothing found", String::new())
            };
            complain(&format!("{what} in {}{hint}", trail.place()));
        }
        Ok(Status::Nothing)
    }
}
