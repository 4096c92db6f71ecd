//! Fast scanning of text without escapes and control characters.

const EACH: u64 = u64::from_ne_bytes([1; 8]);
const HIGH: u64 = EACH << 7;

/// Returns whether a text has neither a backslash nor a control character.
#[inline]
pub(crate) fn is_plain(text: &[u8]) -> bool {
    let smallest = text.iter().fold(u8::MAX, |smallest, byte| smallest.min(*byte));
    smallest >= 0x20 && memchr::memchr(b'\\', text).is_none()
}

/// Returns the offset of the next quotation mark at or after `at`. Tuned for short strings, which are most of
/// a line.
#[inline(always)]
pub(crate) fn next_quote(text: &[u8], mut at: usize) -> Option<usize> {
    let rest = text.get(at..)?;
    for chunk in rest.chunks_exact(8) {
        // Quotation marks become zero bytes. The lowest set bit is exact; higher ones may be carries.
        let zero = chunk.try_into().map_or(0, u64::from_le_bytes) ^ (EACH * u64::from(b'"'));
        let marks = zero.wrapping_sub(EACH) & !zero & HIGH;
        if marks != 0 {
            return Some(at + (marks.trailing_zeros() / 8) as usize);
        }
        at += 8;
    }
    text[at..].iter().position(|byte| *byte == b'"').map(|offset| at + offset)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_next_quotation_mark_is_found_at_any_offset() {
        for byte in 0..=u8::MAX {
            for offset in 0..19 {
                let mut text = vec![byte; 19];
                text[offset] = b'"';
                text[(offset * 7) % 19] = b'"';
                for from in 0..=19 {
                    let expected = (from..19).find(|at| text[*at] == b'"');
                    assert_eq!(next_quote(&text, from), expected, "{text:?} from {from}");
                }
            }
        }
        assert_eq!(next_quote(b"abc", 4), None);
    }

    #[test]
    fn backslashes_and_control_characters_are_not_plain() {
        assert!(is_plain("ကုမ္ပဏီ \"x\" \u{7f}".as_bytes()) && is_plain(b""));
        for special in ["\\", "a\tb", "\u{1f}", "\0"] {
            assert!(!is_plain(format!("{}{special}{}", "x".repeat(40), "y".repeat(9)).as_bytes()));
        }
    }
}
