//! Decompression of a segment, which must be exactly one Zstandard frame.
//!
//! A Zstandard file may contain several frames in a row (RFC 8878, section 3). The writer never creates such
//! a file, and readers that decode all frames would see lines in a second frame that are not in the tree.
//! Therefore all code that reads a compressed segment uses this decoder.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};

/// Decompresses one frame. Reading its end fails if data follows it.
pub struct Frame<R: Read>(zstd::Decoder<'static, BufReader<R>>);

impl<R: Read> Frame<R> {
    /// Creates a decoder at the beginning of a compressed segment.
    ///
    /// # Errors
    /// The error of the decoder if it cannot allocate memory.
    pub fn new(file: R) -> io::Result<Self> {
        Ok(Self(zstd::Decoder::new(file)?.single_frame()))
    }

    /// Returns the underlying file.
    #[must_use]
    pub fn get_ref(&self) -> &R {
        self.0.get_ref().get_ref()
    }
}

impl<R: Read> Read for Frame<R> {
    fn read(&mut self, bytes: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(bytes)?;
        if read == 0 && !bytes.is_empty() && !self.0.get_mut().fill_buf()?.is_empty() {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "data follows the compressed text"));
        }
        Ok(read)
    }
}

impl<R: Read> fmt::Debug for Frame<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Frame")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(bytes: &[u8]) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        Frame::new(bytes)?.read_to_end(&mut text).map(|_| text)
    }

    #[test]
    fn data_after_the_frame_is_an_error() {
        let [first, second] =
            ["first\n", "second\n"].map(|text| zstd::encode_all(text.as_bytes(), 1).unwrap());
        assert_eq!(read(&first).unwrap(), b"first\n");
        for after in [&second[..], b"x", b"\0"] {
            let error = read(&[&first, after].concat()).unwrap_err();
            assert!(error.to_string().contains("data follows"), "{error}");
        }
        assert!(read(&first[..first.len() - 1]).is_err(), "a truncated frame");
        assert!(read(b"").is_err());
    }
}
