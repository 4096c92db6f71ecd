//! `auditx tail`: the last lines of a trail, and new ones as they come.

use std::io::{self, BufWriter, Write};
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use auditx_core::{for_people, lock_holder};
use auditx_reader::{Error, Line, Lines};
use clap::ValueEnum;
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::failure::{Failure, Status, how_to_make};
use crate::terminal::{self, complain, harmless};
use crate::trail::Trail;

/// Shows the last lines of a trail, and with -f new ones as they come
///
/// It only reads, beside whatever process writes, across sealed and compressed
/// segments. Lines that cannot be read are reported on standard error, with file
/// and byte.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES, verbatim_doc_comment)]
pub(crate) struct Arguments {
    #[command(flatten)]
    trail: Trail,
    /// How many lines
    #[arg(short = 'n', long = "lines", value_name = "N", default_value_t = 10)]
    lines: u64,
    /// Goes on with new lines as they come, until Ctrl-C
    #[arg(short, long)]
    follow: bool,
    /// How lines look [default: table on a terminal, raw in a pipe]
    #[arg(short, long, value_name = "FORM")]
    output: Option<Form>,
}

/// How lines look.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Form {
    /// A line for people: time, level, what, who, where
    Table,
    /// The bytes as stored
    Raw,
}

const EXAMPLES: &str = "\
Examples:
  auditx tail                                  the last ten lines of ./logs
  auditx tail --dir /var/log/erp -n 100 -f     the last hundred, and new ones as they come
  auditx tail -n 1000 | jq 'select(.success == false)'

Exit status: 0 lines found, 1 none, 2 an error";

/// How often a trail is looked at while it is idle: two system calls each.
const PAUSE: Timespec = Timespec { tv_sec: 0, tv_nsec: 100_000_000 };

/// Beyond this the places of unreadable lines are only counted.
const MOST_REPORTED: u64 = 20;

pub(crate) fn run(arguments: &Arguments) -> Result<Status, Failure> {
    // Ctrl-C is how following ends, and nothing is lost by it: status 0, at once, wherever the program waits.
    let always = Arc::new(AtomicBool::new(true));
    signal_hook::flag::register_conditional_shutdown(signal_hook::consts::SIGINT, 0, always)
        .map_err(|error| Failure::said(format!("cannot prepare for Ctrl-C: {error}")))?;

    arguments.trail.bring_in()?;
    let mut lines = Lines::last(arguments.trail.directory(), arguments.lines)?;
    let form =
        arguments.output.unwrap_or(if terminal::is_output_a_terminal() { Form::Table } else { Form::Raw });
    let mut tail = Tail { out: Output::of(form), shown: 0, unreadable: 0, has_failed: false };
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

struct Tail {
    out: Output,
    shown: u64,
    unreadable: u64,
    has_failed: bool,
}

impl Tail {
    /// Everything there is for now.
    fn show_all(&mut self, lines: &mut Lines) -> Result<(), Failure> {
        loop {
            match lines.next_line() {
                Ok(Some(line)) => self.show(&line)?,
                Ok(None) => return Ok(self.out.flush()?),
                Err(error) => {
                    self.out.flush()?;
                    self.has_failed = true;
                    complain(&harmless(&error.to_string()));
                }
            }
        }
    }

    fn show(&mut self, line: &Line) -> Result<(), Failure> {
        match line.parse() {
            Ok(entry) => {
                self.shown += 1;
                match &mut self.out {
                    Output::Table(out) => out.write_all(for_people(&entry).as_bytes())?,
                    Output::Raw(out) => {
                        out.write_all(line.bytes())?;
                        out.write_all(b"\n")?;
                    }
                }
                Ok(())
            }
            Err(error) => self.tell_unreadable(&error),
        }
    }

    /// In its place among the others.
    fn tell_unreadable(&mut self, error: &Error) -> Result<(), Failure> {
        self.unreadable += 1;
        if self.unreadable <= MOST_REPORTED {
            self.out.flush()?;
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

    fn sum_up(&self, arguments: &Arguments) -> Result<Status, Failure> {
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
            complain(&format!(
                "no entries in {}{}",
                arguments.trail.place(),
                how_to_make(arguments.trail.directory())
            ));
        }
        Ok(Status::Nothing)
    }
}

/// Where lines go, and how they look there.
enum Output {
    Table(BufWriter<anstream::AutoStream<io::StdoutLock<'static>>>),
    Raw(BufWriter<io::StdoutLock<'static>>),
}

impl Output {
    fn of(form: Form) -> Self {
        match form {
            Form::Table => Self::Table(BufWriter::new(terminal::output())),
            Form::Raw => Self::Raw(BufWriter::new(io::stdout().lock())),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Table(out) => out.flush(),
            Self::Raw(out) => out.flush(),
        }
    }
}
