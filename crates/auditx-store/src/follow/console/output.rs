//! Writes whole lines to standard output or standard error, so that no byte is written twice after an error.
//!
//! It writes to the descriptor, since the standard library's buffer does not report how much of a line it
//! wrote. It holds the standard library's lock meanwhile: a line of the application's `println!` comes before
//! or after, never inside.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;

#[derive(Debug, Clone, Copy)]
pub(super) enum Stream {
    Stdout,
    Stderr,
}

pub(super) struct Output {
    stream: Stream,
    /// The line begun last, and how many of its bytes are written. The next attempt writes the rest first.
    line: Vec<u8>,
    written: usize,
    /// The seq of that line while part of it is still to be written.
    begun: Option<u64>,
    is_gone: bool,
}

impl Output {
    pub(super) fn new(stream: Stream) -> Self {
        Self { stream, line: Vec::new(), written: 0, begun: None, is_gone: false }
    }

    /// Whether the reading side is gone for good.
    pub(super) fn is_gone(&self) -> bool {
        self.is_gone
    }

    /// Writes the parts as one line or, after an error, the rest of the line with this seq. Blocks while the
    /// other side takes nothing.
    ///
    /// # Errors
    /// The operating system's error. After a broken pipe or a closed descriptor the output is gone.
    pub(super) fn write(&mut self, seq: u64, parts: &[&str]) -> io::Result<()> {
        if self.begun != Some(seq) {
            self.line.clear();
            parts.iter().for_each(|part| self.line.extend_from_slice(part.as_bytes()));
            (self.begun, self.written) = (Some(seq), 0);
        }
        match self.stream {
            Stream::Stdout => {
                let mut out = io::stdout().lock();
                // What the application printed without a newline comes first.
                io::Write::flush(&mut out).and_then(|()| self.write_rest(out.as_fd()))
            }
            Stream::Stderr => self.write_rest(io::stderr().lock().as_fd()),
        }
        .inspect_err(|error| self.is_gone = is_final(error))?;
        self.begun = None;
        Ok(())
    }

    fn write_rest(&mut self, out: BorrowedFd<'_>) -> io::Result<()> {
        while let rest @ [_, ..] = &self.line[self.written..] {
            match rustix::io::write(out, rest) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(count) => self.written += count,
                Err(Errno::INTR) => {}
                // The descriptor was set to non-blocking.
                Err(Errno::AGAIN) => wait_for_room(out)?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }
}

fn wait_for_room(out: BorrowedFd<'_>) -> io::Result<()> {
    match poll(&mut [PollFd::from_borrowed_fd(out, PollFlags::OUT)], None) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn is_final(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe || error.raw_os_error() == Some(Errno::BADF.raw_os_error())
}
