//! Damage with valid checksums: changed lines that are compressed again, and forged skip indexes.

use std::fs;
use std::io::{self, Write as _};
use std::path::Path;

use auditx_tlog::{leaf_hash, parse_seq, to_hex};
use sha2::{Digest as _, Sha256};
use xxhash_rust::xxh64::xxh64;

use crate::random::Random;

pub(super) fn is_compressed(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "zst")
}

/// Returns the uncompressed text of a segment.
fn text_of(path: &Path) -> io::Result<Vec<u8>> {
    let bytes = fs::read(path)?;
    if is_compressed(path) { zstd::decode_all(&*bytes) } else { Ok(bytes) }
}

fn write(path: &Path, text: &[u8]) -> io::Result<()> {
    if is_compressed(path) { fs::write(path, compressed(text)?) } else { fs::write(path, text) }
}

/// Compresses to one frame with a checksum, as the library does.
fn compressed(text: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = zstd::Encoder::new(Vec::new(), 3)?;
    encoder.include_checksum(true)?;
    encoder.write_all(text)?;
    encoder.finish()
}

/// Returns a line that is not signed.
fn forged(seq: u64) -> String {
    let entry = "\"id\":\"01960000-0000-7000-8000-000000000000\",\
                 \"timestamp\":\"2026-11-24T15:30:00.000000Z\",\
                 \"level\":\"AUDIT\",\"module\":\"sales\",\"action\":\"CREATE\",\
                 \"description\":\"forged\",\"user\":\"admin\",\"success\":true";
    format!("{{\"seq\":{seq},{entry}}}\n")
}

/// Decompresses a segment and compresses it again; its lines do not change.
pub(super) fn recompress(path: &Path) -> io::Result<()> {
    if !is_compressed(path) {
        return Err(io::Error::other("not compressed"));
    }
    write(path, &text_of(path)?)
}

/// Appends a second frame to a compressed segment.
pub(super) fn add_frame(path: &Path, seq: u64) -> io::Result<()> {
    if !is_compressed(path) {
        return Err(io::Error::other("not compressed"));
    }
    let frame = compressed(forged(seq).as_bytes())?;
    fs::OpenOptions::new().append(true).open(path)?.write_all(&frame)
}

/// Changes whole lines of a segment.
pub(super) fn change_lines(random: &mut Random, how: &str, path: &Path) -> io::Result<()> {
    let text = text_of(path)?;
    let mut lines: Vec<Vec<u8>> = text.split_inclusive(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
    if lines.is_empty() {
        return Err(io::Error::other("the segment is empty"));
    }
    let at = random.index(lines.len());
    match how {
        "value" => change_value(random, &mut lines[at])?,
        "delete-line" => drop(lines.remove(at)),
        "repeat-line" => lines.insert(at, lines[at].clone()),
        "insert-line" => {
            let seq = parse_seq(&lines[at]).unwrap_or(0) + random.below(3);
            lines.insert(at, forged(seq).into_bytes());
        }
        "swap-lines" => {
            let other = random.index(lines.len());
            lines.swap(at, other);
        }
        "stub" => {
            let line = lines[at].strip_suffix(b"\n").unwrap_or(&lines[at]);
            let seq = parse_seq(line).ok_or_else(|| io::Error::other("a line without a seq"))?;
            let leaf = to_hex(&leaf_hash(line));
            lines[at] = format!("{{\"seq\":{seq},\"erased\":\"{leaf}\"}}\n").into_bytes();
        }
        _ => return Err(io::Error::other("unknown change")),
    }
    write(path, &lines.concat())
}

/// Replaces a value by another of the same length, so that the line is still a valid entry.
fn change_value(random: &mut Random, line: &mut [u8]) -> io::Result<()> {
    let changes: [(&[u8], &[u8]); 8] = [
        (b"\"admin\"", b"\"nobdy\""),
        (b"\"cashier\"", b"\"manager\""),
        (b"\"CREATE\"", b"\"UPDATE\""),
        (b"\"AUDIT\"", b"\"ERROR\""),
        (b"\"success\":false", b"\"success\":true "),
        (b"\"2026-11-24T15:2", b"\"2026-11-23T15:2"),
        (b"\"C-1", b"\"C-9"),
        (b"entry ", b"Entry "),
    ];
    let first = random.index(changes.len());
    for (old, new) in changes.iter().cycle().skip(first).take(changes.len()) {
        if let Some(at) = line.windows(old.len()).position(|window| window == *old) {
            line[at..at + new.len()].copy_from_slice(new);
            return Ok(());
        }
    }
    Err(io::Error::other("the line has none of the values"))
}

/// Offsets of the parts of an index; see docs/FORMAT.md.
const COUNT: usize = 20;
const TIMES: usize = 56;
const BLOCKS: usize = 104;
const BLOCK: usize = 44;

/// Forges an index so that it excludes the lines of its segment, and corrects its checksums. Returns what was
/// forged.
pub(super) fn forge_index(random: &mut Random, path: &Path) -> io::Result<&'static str> {
    let mut bytes = fs::read(path)?;
    let invalid = || io::Error::other("not an index");
    let number = |bytes: &[u8], at: usize| {
        let field = bytes.get(at..at + 4).and_then(|field| field.try_into().ok()).ok_or_else(invalid)?;
        usize::try_from(u32::from_le_bytes(field)).map_err(io::Error::other)
    };
    let blocks = number(&bytes, COUNT)?;
    let filters = BLOCKS + blocks * BLOCK;
    let mut record = filters;
    for block in 0..blocks {
        record += 32 * number(&bytes, BLOCKS + block * BLOCK + 40)?;
    }
    let how = *random.one_of(&["filters", "times", "checksums of blocks"]);
    match how {
        "filters" => bytes[filters..record].fill(0),
        "times" => {
            let times = [1_i64.to_le_bytes(), 2_i64.to_le_bytes()].concat();
            bytes[TIMES..TIMES + 16].copy_from_slice(&times);
            for block in 0..blocks {
                let at = BLOCKS + block * BLOCK + 16;
                bytes[at..at + 16].copy_from_slice(&times);
            }
        }
        _ => bytes[BLOCKS + 32] ^= 1,
    }
    let digest = to_hex(&Sha256::digest(&bytes[..record]));
    // The control record that names the index is removed, kept, or changed to name the forged index.
    let line = bytes.get(record + 4..bytes.len() - 8).ok_or_else(invalid)?.to_vec();
    let line = match random.below(3) {
        0 => Vec::new(),
        1 => line,
        _ => with_digest(&line, &digest),
    };
    bytes.truncate(record);
    bytes.extend(u32::try_from(line.len()).map_err(io::Error::other)?.to_le_bytes());
    bytes.extend(line);
    let checksum = xxh64(&bytes, 0);
    bytes.extend(checksum.to_le_bytes());
    fs::write(path, bytes)?;
    Ok(how)
}

/// Returns the control record with another hash.
fn with_digest(line: &[u8], digest: &str) -> Vec<u8> {
    let mut line = line.to_vec();
    let is_hex =
        |window: &[u8]| window.iter().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(byte));
    if let Some(at) = line.windows(64).position(is_hex) {
        line[at..at + 64].copy_from_slice(digest.as_bytes());
    }
    line
}
