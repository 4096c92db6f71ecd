//! Sealed segments as Zstandard files.

use std::io::{self, BufRead, BufReader, Read, Write};

use super::pace::Paced;
use crate::dir::{Access, Dir};
use crate::error::{Error, Result};
use crate::segment::{Frame, open_segment};

/// On lines of a trail not only the fastest but the smallest: lines repeat their predecessors at some distance, which levels 2 to 4
/// find less often.
const ZSTD_LEVEL: i32 = 1;

/// How much is compressed at a stretch.
const PIECE: usize = 64 * 1024;

const DONE_SUFFIX: &str = ".zst";
const TEMPORARY_SUFFIX: &str = ".zst.tmp";

/// An encoder as every segment has it: one frame, with a checksum.
pub(super) fn encoder<'t, W: Write>(target: W) -> io::Result<zstd::Encoder<'t, W>> {
    let mut encoder = zstd::Encoder::new(target, ZSTD_LEVEL)?;
    encoder.include_checksum(true)?;
    Ok(encoder)
}

/// The compressed file of a plain segment, and the one that is to become it.
pub(super) fn copies_of(plain: &str) -> [String; 2] {
    [DONE_SUFFIX, TEMPORARY_SUFFIX].map(|suffix| format!("{plain}{suffix}"))
}

/// To a temporary name, checked by decompressing, then renamed; only then the plain file goes. Its time stays, since
/// retention counts from it.
pub(super) fn compress(directory: &Dir, plain: &str) -> Result<()> {
    let [done, temporary] = copies_of(plain);
    let work = || -> io::Result<()> {
        let source = directory.open(plain, Access::READ)?;
        let target = directory.create(&temporary, false)?;
        let mut encoder = encoder(&target)?;
        io::copy(&mut Paced::new(BufReader::with_capacity(PIECE, &source)), &mut encoder)?;
        encoder.finish()?.flush()?;
        target.set_modified(source.metadata()?.modified()?)?;
        target.sync_all()?;
        if !is_same(directory, plain, &temporary)? {
            return Err(io::Error::other("what was compressed does not decompress to the same bytes"));
        }
        directory.rename(&temporary, &done)?;
        directory.sync("")?;
        directory.remove(plain)?;
        directory.sync("")
    };
    work().map_err(|error| Error::storage("cannot compress a sealed segment", directory.join(plain), error))
}

fn is_same(directory: &Dir, plain: &str, compressed: &str) -> io::Result<bool> {
    let mut left = Paced::new(open_segment(directory, plain, false)?);
    let mut right = Frame::new(directory.open(compressed, Access::READ)?)?;
    let mut theirs = Vec::new();
    loop {
        let ours = left.fill_buf()?;
        theirs.resize(ours.len().max(1), 0);
        if ours.is_empty() {
            return Ok(right.read(&mut theirs)? == 0);
        }
        let len = ours.len();
        match right.read_exact(&mut theirs[..len]) {
            Ok(()) if theirs[..len] == *ours => left.consume(len),
            Ok(()) => return Ok(false),
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(false),
            Err(error) => return Err(error),
        }
    }
}
