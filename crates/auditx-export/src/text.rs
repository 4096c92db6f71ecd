//! Writes text in each format: with the format's escapes, and with escapes for characters that are harmful
//! when displayed.

use auditx_format::encode::is_hazard;

/// The escaping rules of one format.
pub(crate) struct Style {
    /// The bytes that end a run of text that needs no escaping.
    stops: [bool; 256],
    /// The replacement for a character that is special in the format.
    special: fn(char) -> Option<&'static str>,
    /// The prefix before the four hexadecimal digits of a harmful character.
    hazard: &'static str,
}

impl Style {
    pub(crate) const fn new(
        own: &[u8],
        special: fn(char) -> Option<&'static str>,
        hazard: &'static str,
    ) -> Self {
        let mut stops = [false; 256];
        let mut byte = 0;
        while byte < 0x20 {
            stops[byte] = true;
            byte += 1;
        }
        // DEL, and the first bytes of harmful characters beyond ASCII.
        let firsts = [0x7f, 0xc2, 0xd8, 0xe2, 0xef];
        byte = 0;
        while byte < firsts.len() {
            stops[firsts[byte]] = true;
            byte += 1;
        }
        byte = 0;
        while byte < own.len() {
            stops[own[byte] as usize] = true;
            byte += 1;
        }
        Self { stops, special, hazard }
    }

    /// Appends the text in one pass.
    pub(crate) fn write(&self, out: &mut Vec<u8>, text: &str) {
        let mut rest = text;
        while let Some(stop) = rest.bytes().position(|byte| self.stops[usize::from(byte)]) {
            let (run, tail) = rest.split_at(stop);
            out.extend_from_slice(run.as_bytes());
            let mut chars = tail.chars();
            let Some(c) = chars.next() else { break };
            self.character(out, c);
            rest = chars.as_str();
        }
        out.extend_from_slice(rest.as_bytes());
    }

    fn character(&self, out: &mut Vec<u8>, c: char) {
        const HEX: &[u8; 16] = b"0123456789abcdef";
        if let Some(written) = (self.special)(c) {
            out.extend_from_slice(written.as_bytes());
        } else if is_hazard(c) {
            out.extend_from_slice(self.hazard.as_bytes());
            out.extend([12, 8, 4, 0].map(|shift| HEX[(u32::from(c) >> shift & 0xf) as usize]));
        } else {
            out.extend_from_slice(c.encode_utf8(&mut [0; 4]).as_bytes());
        }
    }
}

/// Returns at most `bytes` bytes of the text, cut between characters.
pub(crate) fn shortened(text: &str, bytes: usize) -> &str {
    let end = (0..=bytes.min(text.len())).rev().find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}
