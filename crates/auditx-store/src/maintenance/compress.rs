//! Compresses sealed segments to Zstandard files.

use std::io::{self, BufRead, BufReader, Read, Write};

use auditx_format::{Error, Result};

use super::pace::{Pace, Paced};
use crate::dir::{Access, Dir};
use crate::segment::{Fingerprint, Frame};

/// For the lines of a trail this level is both the fastest and the smallest: lines repeat earlier ones at
/// some distance, which levels 2 to 4 find less often.
const ZSTD_LEVEL: i32 = 1;

/// How many bytes are compressed at a time.
const PIECE: usize = 64 * 1024;

const DONE_SUFFIX: &str = ".zst";
const TEMPORARY_SUFFIX: &str = ".zst.tmp";

/// Returns an encoder as every segment uses it: one frame, with a checksum.
pub(super) fn encoder<'t, W: Write>(target: W) -> io::Result<zstd::Encoder<'t, W>> {
    let mut encoder = zstd::Encoder::new(target, ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// Returns the names of a plain segment's compressed file and of its temporary file.
pub(super) fn copies_of(plain: &str) -> [String; 2] {
    [DONE_SUFFIX, TEMPORARY_SUFFIX].map(|suffix| format!("{plain}{suffix}"))
}

/// Compresses to a temporary name, checks that the result decompresses to what was compressed, and renames it;
/// only then the plain file is removed. The modification time stays, since retention counts from it.
pub(super) fn compress(directory: &Dir, plain: &str, pace: &Pace) -> Result<()> {
    let [done, temporary] = copies_of(plain);
    let work = || -> io::Result<()> {
        let source = directory.open(plain, Access::READ)?;
        let target = directory.create(&temporary, false)?;
        let mut encoder = encoder(&target)?;
        let compressed = pass(&source, pace, |piece| encoder.write_all(piece))?;
        encoder.finish()?.flush()?;
        target.set_modified(source.metadata()?.modified()?)?;
        target.sync_all()?;
        let frame = Frame::new(directory.open(&temporary, Access::READ)?)?;
        if pass(frame, pace, |_| Ok(()))? != compressed {
            return Err(io::Error::other("the compressed file does not decompress to the same bytes"));
        }
        directory.rename(&temporary, &done)?;
        directory.sync("")?;
        directory.remove(plain)?;
        directory.sync("")
    };
    work().map_err(|error| Error::storage("cannot compress a sealed segment", directory.join(plain), error))
}

/// Passes a text to `take` in pieces. Returns its length and its fingerprint.
fn pass(
    text: impl Read,
    pace: &Pace,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<(u64, u64)> {
    let mut text = Paced::new(BufReader::with_capacity(PIECE, text), pace);
    let (mut len, mut fingerprint) = (0, Fingerprint::default());
    loop {
        let piece = text.fill_buf()?;
        if piece.is_empty() {
            return Ok((len, fingerprint.value()));
        }
        fingerprint.update(piece);
        take(piece)?;
        let taken = piece.len();
        len += taken as u64;
        text.consume(taken);
    }
}
