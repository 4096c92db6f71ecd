//! Followers' cursors.

use auditx_core::{CURSOR_LEN, saved_position};

/// Where each slot begins.
const SLOTS: [usize; 2] = [0, 4096];

/// The position is that of the newest slot whose checksum is right: in these bytes as they are, and with each checksum
/// made right, which no fuzzer does.
///
/// # Panics
/// Where that is not so.
pub fn cursor(bytes: &[u8]) {
    check(bytes);
    let mut summed = bytes.to_vec();
    for begin in SLOTS {
        if let Some(record) = summed.get_mut(begin..begin + 20) {
            let crc = crc32c::crc32c(&record[..16]);
            record[16..].copy_from_slice(&crc.to_le_bytes());
        }
    }
    check(&summed);
}

fn check(bytes: &[u8]) {
    let newest = SLOTS.iter().filter_map(|begin| slot(bytes.get(*begin..)?)).max();
    assert_eq!(saved_position(bytes), newest.map(|(_, position)| position));
    let needed = usize::try_from(CURSOR_LEN).map_or(bytes.len(), |len| len.min(bytes.len()));
    assert_eq!(saved_position(&bytes[..needed]), saved_position(bytes), "more than it says is needed");
}

/// The generation and the position.
fn slot(bytes: &[u8]) -> Option<(u64, u64)> {
    let (numbers, crc) = bytes.get(..20)?.split_at(16);
    let (generation, position) = numbers.split_at(8);
    let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte));
    (number(crc) == u64::from(crc32c::crc32c(numbers))).then(|| (number(generation), number(position)))
}
