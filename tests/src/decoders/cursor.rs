//! Check of followers' cursors.

use auditx_store::{CURSOR_LEN, saved_position};

/// The offset of each slot.
const SLOTS: [usize; 2] = [0, 4096];

/// Checks that the saved position is that of the newest slot with a valid checksum: for the bytes as they
/// are, and with all checksums corrected, because a fuzzer does not find valid checksums.
///
/// # Panics
/// If another position is read.
pub fn cursor(bytes: &[u8]) {
    check(bytes);
    let mut corrected = bytes.to_vec();
    for begin in SLOTS {
        if let Some(record) = corrected.get_mut(begin..begin + 20) {
            let crc = crc32c::crc32c(&record[..16]);
            record[16..].copy_from_slice(&crc.to_le_bytes());
        }
    }
    check(&corrected);
}

fn check(bytes: &[u8]) {
    let newest = SLOTS.iter().filter_map(|begin| slot(bytes.get(*begin..)?)).max();
    assert_eq!(saved_position(bytes), newest.map(|(_, position)| position));
    let needed = usize::try_from(CURSOR_LEN).map_or(bytes.len(), |len| len.min(bytes.len()));
    assert_eq!(saved_position(&bytes[..needed]), saved_position(bytes), "bytes after CURSOR_LEN were read");
}

/// Returns generation and position if the checksum is valid.
fn slot(bytes: &[u8]) -> Option<(u64, u64)> {
    let (numbers, crc) = bytes.get(..20)?.split_at(16);
    let (generation, position) = numbers.split_at(8);
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
    (number(crc) == u64::from(crc32c::crc32c(numbers))).then(|| (number(generation), number(position)))
}
