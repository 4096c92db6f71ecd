//! The output below the zip writer.

use std::io::{self, Seek, SeekFrom, Write};

/// An output that accepts and discards everything after its first failure.
///
/// A `ZipWriter` that is dropped completes its archive, and prints on standard error if that fails.
#[derive(Debug)]
pub(crate) struct Sink<W> {
    out: W,
    position: u64,
    has_failed: bool,
}

impl<W: Write + Seek> Sink<W> {
    pub(crate) fn new(out: W) -> Self {
        Self { out, position: 0, has_failed: false }
    }

    fn check<T>(&mut self, outcome: io::Result<T>) -> io::Result<T> {
        outcome.inspect_err(|error| self.has_failed |= error.kind() != io::ErrorKind::Interrupted)
    }
}

impl<W: Write + Seek> Write for Sink<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let len = if self.has_failed {
            bytes.len()
        } else {
            let outcome = self.out.write(bytes);
            self.check(outcome)?
        };
        self.position += len as u64;
        Ok(len)
    }

    fn flush(&mut self) -> io::Result<()> {
        if self.has_failed {
            return Ok(());
        }
        let outcome = self.out.flush();
        self.check(outcome)
    }
}

impl<W: Write + Seek> Seek for Sink<W> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        if self.has_failed {
            match to {
                SeekFrom::Start(position) => self.position = position,
                SeekFrom::Current(by) => self.position = self.position.saturating_add_signed(by),
                SeekFrom::End(_) => {}
            }
        } else {
            let outcome = self.out.seek(to);
            self.position = self.check(outcome)?;
        }
        Ok(self.position)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;

    /// A device that is full after some bytes.
    struct Full(Cursor<Vec<u8>>);

    impl Write for Full {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.0.position() >= 8 { Err(io::ErrorKind::StorageFull.into()) } else { self.0.write(bytes) }
        }

        fn flush(&mut self) -> io::Result<()> {
            Err(io::ErrorKind::StorageFull.into())
        }
    }

    impl Seek for Full {
        fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
            self.0.seek(to)
        }
    }

    #[test]
    fn only_the_first_failure_is_reported() {
        let mut sink = Sink::new(Full(Cursor::default()));
        sink.write_all(b"12345678").unwrap();
        assert_eq!(sink.write(b"9").unwrap_err().kind(), io::ErrorKind::StorageFull);
        sink.write_all(b"90").unwrap();
        sink.flush().unwrap();
        assert_eq!(sink.stream_position().unwrap(), 10);
        assert_eq!(sink.seek(SeekFrom::Start(4)).unwrap(), 4);
        sink.write_all(b"5").unwrap();
        assert_eq!((sink.position, sink.out.0.get_ref().as_slice()), (5, b"12345678".as_slice()));
    }
}
