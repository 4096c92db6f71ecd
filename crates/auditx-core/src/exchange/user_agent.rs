//! The client's `User-Agent`, kept within the exchange: every request has one, and none should cost an
//! allocation.

use super::request::MAX_CLAIM;

/// At most [`MAX_CLAIM`] bytes of UTF-8; empty where the client sent none.
pub(super) struct UserAgent {
    bytes: [u8; MAX_CLAIM],
    len: usize,
}

impl Default for UserAgent {
    fn default() -> Self {
        Self { bytes: [0; MAX_CLAIM], len: 0 }
    }
}

impl UserAgent {
    /// Cut between characters; U+FFFD replaces what is not UTF-8.
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

    /// Whether all of it fitted.
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
    fn an_agent_is_cut_between_characters_and_made_utf8() {
        assert_eq!(UserAgent::of(b"curl/8.5.0").as_str(), "curl/8.5.0");
        assert_eq!(UserAgent::of(b"a\xffb\xc3").as_str(), "a\u{fffd}b\u{fffd}");
        let long = UserAgent::of("é".repeat(MAX_CLAIM).as_bytes());
        assert_eq!(long.as_str(), "é".repeat(MAX_CLAIM / 2));
        let odd = UserAgent::of(format!("x{}", "é".repeat(MAX_CLAIM)).as_bytes());
        assert_eq!(odd.as_str().len(), MAX_CLAIM - 1);
        assert_eq!(UserAgent::of(&[0xff; 300]).as_str().len(), MAX_CLAIM / 3 * 3);
        assert_eq!(UserAgent::default().as_str(), "");
    }
}
