//! The client's `User-Agent`, stored inline in the exchange. Nearly every request has one, and it should not
//! cost an allocation.

use super::request::MAX_HEADER_LEN;

/// At most [`MAX_HEADER_LEN`] bytes of UTF-8; empty if the client sent none.
pub(super) struct UserAgent {
    bytes: [u8; MAX_HEADER_LEN],
    len: usize,
}

impl Default for UserAgent {
    fn default() -> Self {
        Self { bytes: [0; MAX_HEADER_LEN], len: 0 }
    }
}

impl UserAgent {
    /// Copies the value, truncated between characters. U+FFFD replaces invalid UTF-8.
    pub(super) fn of(value: &[u8]) -> Self {
        let mut agent = Self::default();
        for chunk in value.utf8_chunks() {
            let replacement = if chunk.invalid().is_empty() { "" } else { "\u{fffd}" };
            if !agent.push(chunk.valid()) || !agent.push(replacement) {
                break;
            }
        }
        agent
    }

    /// Appends as much of the text as fits. Returns `true` if all of it fitted.
    fn push(&mut self, text: &str) -> bool {
        let room = &mut self.bytes[self.len..];
        let fits =
            (0..=room.len().min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.len += fits;
        fits == text.len()
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_is_truncated_utf8() {
        assert_eq!(UserAgent::of(b"curl/8.5.0").as_str(), "curl/8.5.0");
        assert_eq!(UserAgent::of(b"a\xffb\xc3").as_str(), "a\u{fffd}b\u{fffd}");
        let long = UserAgent::of("é".repeat(MAX_HEADER_LEN).as_bytes());
        assert_eq!(long.as_str(), "é".repeat(MAX_HEADER_LEN / 2));
        let odd = UserAgent::of(format!("x{}", "é".repeat(MAX_HEADER_LEN)).as_bytes());
        assert_eq!(odd.as_str().len(), MAX_HEADER_LEN - 1);
        assert_eq!(UserAgent::of(&[0xff; 300]).as_str().len(), MAX_HEADER_LEN / 3 * 3);
        assert_eq!(UserAgent::default().as_str(), "");
    }
}
