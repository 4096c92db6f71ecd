//! Compresses sealed segments to Zstandard files.

use std::io::{self, BufRead, BufReader, Read, Write};

use auditx_format::{Error, Result};

use super::pace::Paced;
use crate::dir::{Access, Dir};
use crate::segment::{Frame, open_segment};

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

/// Compresses to a temporary name, checks the result by decompressing it, and renames it; only then the plain
/// file is removed. The modification time stays, since retention counts from it.
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
            return Err(io::Error::other("the compressed file does not decompress to the same bytes"));
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
