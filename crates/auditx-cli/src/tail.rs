//! `auditx tail`: the last entries of a trail, and new entries as they are recorded.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::io::{self, BufWriter};
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use auditx_reader::{Error, Field, Found, Line, Lines, Moment, Order, Query, Search};
use auditx_store::lock_holder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::failure::{Failure, Status, creation_hint};
use crate::family::{Family, Member, Trails};
use crate::render::{Document, OutputOptions, Renderer};
use crate::selection::Filter;
use crate::summary;
use crate::terminal::{print_message, sanitized};

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
    family: Family,
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

/// The number of intervals after which the directory is searched for new trails.
const RESCAN: u64 = 10;

/// The number of lines that are read from one trail before those of the others.
const ROUND: usize = 1_000;

/// Further unreadable lines are only counted.
const MAX_REPORTED: u64 = 20;

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    // Ctrl-C is the normal end of following: the process exits at once with status 0, wherever it waits.
    let always = Arc::new(AtomicBool::new(true));
    signal_hook::flag::register_conditional_shutdown(signal_hook::consts::SIGINT, 0, always)
        .map_err(|error| Failure::new(format!("cannot prepare for Ctrl-C: {error}")))?;

    let trails = arguments.family.trails()?;
    let renderer = arguments.output.renderer(None, arguments.filter.zone(), trails.name_width())?;
    if arguments.follow && renderer.has_footer() {
        return Err(Failure::new("-o json writes one array, which never ends with -f: use -o ndjson"));
    }
    let query = arguments.filter.query(Moment::now())?;
    arguments.filter.warn(&query);
    let document = renderer.document(BufWriter::new(io::stdout().lock()));
    let mut tail = Tail { renderer: &renderer, document, query, shown: 0, unreadable: 0, has_failed: false };
    // Opened before the search, so that entries recorded during the search are shown, and only once.
    let mut sources = Vec::new();
    for member in trails.members() {
        sources.push(Source::new(member.clone(), Lines::last(member.directory(), 0)?));
    }
    tail.show_last(arguments.lines, &mut sources)?;
    tail.show_all(&mut sources)?;
    if arguments.follow {
        if tail.shown + tail.unreadable == 0 && arguments.lines > 0 {
            print_message(&format!("waiting for the first entry in {}", trails.display_path()));
        }
        let is_family = trails.single().is_none();
        let mut is_waiting = trails.single().is_some_and(|trail| !trail.is_there());
        for round in 1.. {
            if tail.has_failed || !has_reader()? {
                break;
            }
            if is_family && round % RESCAN == 0 {
                add_new(&arguments.family, &mut sources)?;
            } else if is_waiting && round % RESCAN == 0 {
                is_waiting = !arguments.family.report_new()?;
            }
            tail.show_all(&mut sources)?;
        }
    } else {
        sources.iter().for_each(Source::report_unfinished);
    }
    tail.sum_up(arguments, &trails)
}

/// Adds the trails that were created since the command began.
fn add_new(family: &Family, sources: &mut Vec<Source>) -> Result<(), Failure> {
    for member in family.below()? {
        if sources.iter().all(|source| source.member.name != member.name) {
            let lines = Lines::all(member.directory())?;
            sources.push(Source::new(member, lines));
        }
    }
    Ok(())
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

/// A trail that is shown.
struct Source {
    member: Member,
    lines: Lines,
    /// The seq of the last line shown.
    newest: Option<u64>,
    /// The ids of pending entries that were already shown.
    pending: HashSet<String>,
    /// The latest time so far, in microseconds.
    time: i64,
}

impl Source {
    fn new(member: Member, lines: Lines) -> Self {
        Self { member, lines, newest: None, pending: HashSet::new(), time: i64::MIN }
    }

    /// Reports an unfinished last line that a killed process left, if no process is writing the trail.
    fn report_unfinished(&self) {
        if let Some(unfinished) = self.lines.unfinished()
            && matches!(lock_holder(self.member.directory()), Ok(None))
        {
            print_message(&format!(
                "an unfinished line of {} bytes ({}, byte {}): \
                 the next process that opens the trail moves it to a separate file",
                unfinished.bytes,
                sanitized(&self.lines.active_path().to_string_lossy()),
                unfinished.offset
            ));
        }
    }
}

/// What a line turned out to be.
enum Shown {
    Entry(Vec<u8>),
    Unreadable(Error),
    /// The number of lines that were retired before they were read.
    Missed(u64),
    /// Lines may be missing.
    Failure(Error),
}

struct Tail<'s> {
    renderer: &'s Renderer,
    document: Document<'s, BufWriter<io::StdoutLock<'static>>>,
    query: Query,
    shown: u64,
    unreadable: u64,
    has_failed: bool,
}

impl Tail<'_> {
    /// Shows the last `count` matching entries of all trails, oldest first.
    fn show_last(&mut self, count: u64, sources: &mut [Source]) -> Result<(), Failure> {
        if count == 0 {
            return Ok(());
        }
        let mut newest_first = Vec::new();
        for (index, source) in sources.iter_mut().enumerate() {
            let found = self.last_of(count, source)?;
            newest_first.extend(found.into_iter().map(|(time, text)| (Reverse((time, index)), text)));
        }
        // Stable, so entries of one trail stay in its order.
        newest_first.sort_by_key(|(time, _)| *time);
        newest_first.truncate(usize::try_from(count).unwrap_or(usize::MAX));
        self.shown += newest_first.len() as u64;
        newest_first.iter().rev().try_for_each(|(_, text)| self.document.write(text))?;
        Ok(self.document.flush()?)
    }

    /// Returns the last `count` matching entries of a trail, newest first, with times that never increase.
    fn last_of(&mut self, count: u64, source: &mut Source) -> Result<Vec<(i64, Vec<u8>)>, Failure> {
        let search = Search::new(source.member.directory())
            .query(self.query.clone())
            .order(Order::NewestFirst)
            .limit(count);
        let (mut newest_first, mut time) = (Vec::new(), i64::MAX);
        let summary = search.each(|found| {
            let mut text = Vec::new();
            self.renderer.render(&found, source.member.name.as_deref(), &mut text);
            match found.row.seq() {
                Some(seq) => source.newest = source.newest.max(Some(seq)),
                None => drop(source.pending.insert(found.row.text(Field::Id).into_owned())),
            }
            time = found.row.moment().map_or(time, |moment| time.min(moment.micros()));
            newest_first.push((time, text));
            ControlFlow::Continue(())
        })?;
        self.has_failed |= summary::report(&[(&source.member, summary)], false) == Status::Error;
        Ok(newest_first)
    }

    /// Shows all lines that are available now; those of several trails in the order of their times.
    fn show_all(&mut self, sources: &mut [Source]) -> Result<(), Failure> {
        let mut is_all = false;
        while !is_all {
            is_all = true;
            let mut new = Vec::new();
            for (index, source) in sources.iter_mut().enumerate() {
                is_all &= self.next_of(source, |time, shown| new.push(((time, index), shown)));
            }
            // Stable, so lines of one trail stay in its order.
            new.sort_by_key(|(time, _)| *time);
            new.into_iter().try_for_each(|(_, shown)| self.show(shown))?;
            self.document.flush()?;
        }
        Ok(())
    }

    /// Passes the next lines of a trail to `add`, with times that never decrease. Returns `true` if there are
    /// no more.
    fn next_of(&self, source: &mut Source, mut add: impl FnMut(i64, Shown)) -> bool {
        for _ in 0..ROUND {
            let shown = match source.lines.next_line() {
                Ok(Some(line)) => {
                    if source.lines.missed() > 0 {
                        add(source.time, Shown::Missed(source.lines.missed()));
                    }
                    self.shown_of(source, &line)
                }
                Ok(None) => return true,
                Err(error) => Some(Shown::Failure(error)),
            };
            if let Some(shown) = shown {
                add(source.time, shown);
            }
        }
        false
    }

    /// Returns what to show for a line; `None` if nothing.
    fn shown_of(&self, source: &mut Source, line: &Line) -> Option<Shown> {
        let row = match line.row() {
            Ok(row) => row,
            Err(error) => return Some(Shown::Unreadable(error)),
        };
        let is_new = (source.newest.is_none() || row.seq() > source.newest)
            && (source.pending.is_empty() || !source.pending.remove(&*row.text(Field::Id)));
        if !is_new || !self.query.matches(&row) {
            return None;
        }
        source.time = row.moment().map_or(source.time, |moment| source.time.max(moment.micros()));
        let mut text = Vec::new();
        // New entries are signed within about a second, so they are not marked as unsigned.
        let found = Found { row: &row, path: line.path(), offset: line.offset(), is_unsigned: false };
        self.renderer.render(&found, source.member.name.as_deref(), &mut text);
        Some(Shown::Entry(text))
    }

    fn show(&mut self, shown: Shown) -> Result<(), Failure> {
        match shown {
            Shown::Entry(text) => {
                self.shown += 1;
                self.document.write(&text)?;
            }
            Shown::Unreadable(error) => self.report_unreadable(&error)?,
            Shown::Missed(lines) => {
                self.document.flush()?;
                let were = if lines == 1 { "line was" } else { "lines were" };
                print_message(&format!(
                    "{lines} {were} retired, or cannot be read, before they could be shown"
                ));
            }
            Shown::Failure(error) => {
                self.document.flush()?;
                self.has_failed = true;
                print_message(&sanitized(&error.to_string()));
            }
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

    fn sum_up(mut self, arguments: &Arguments, trails: &Trails) -> Result<Status, Failure> {
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
            let (what, hint) = match trails.single() {
                Some(trail) if arguments.filter.is_empty() => {
                    ("no entries", creation_hint(trail.directory()))
                }
                _ if arguments.filter.is_empty() => ("no entries", String::new()),
                _ => ("nothing found", String::new()),
            };
            print_message(&format!("{what} in {}{hint}", trails.display_path()));
        }
        Ok(Status::Negative)
    }
}
