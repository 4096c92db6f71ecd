//! Short text that is stored in place, so that it costs no allocation: the request id, the `User-Agent`.

/// At most `N` bytes of UTF-8.
#[derive(Clone)]
pub(super) struct InlineText<const N: usize> {
    bytes: [u8; N],
    len: usize,
}

impl<const N: usize> Default for InlineText<N> {
    fn default() -> Self {
        Self { bytes: [0; N], len: 0 }
    }
}

impl<const N: usize> AsRef<[u8]> for InlineText<N> {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.len]
    }
}

impl<const N: usize> InlineText<N> {
    /// Copies the value, truncated between characters. U+FFFD replaces invalid UTF-8.
    pub(super) fn of(value: &[u8]) -> Self {
        let mut text = Self::default();
        for chunk in value.utf8_chunks() {
            let replacement = if chunk.invalid().is_empty() { "" } else { "\u{fffd}" };
            if !text.push(chunk.valid()) || !text.push(replacement) {
                break;
            }
        }
        text
    }

    /// Appends as much of the text as fits. Returns `true` if all of it fitted.
    pub(super) fn push(&mut self, text: &str) -> bool {
        let room = &mut self.bytes[self.len..];
        let fits =
            (0..=room.len().min(text.len())).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
        room[..fits].copy_from_slice(&text.as_bytes()[..fits]);
        self.len += fits;
        fits == text.len()
    }

    pub(super) fn as_str(&self) -> &str {
        std::str::from_utf8(self.as_ref()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LEN: usize = 256;

    type Text = InlineText<LEN>;

    #[test]
    fn a_long_text_is_truncated_between_characters() {
        assert_eq!(Text::of(b"curl/8.5.0").as_str(), "curl/8.5.0");
        assert_eq!(Text::of(b"a\xffb\xc3").as_str(), "a\u{fffd}b\u{fffd}");
        let long = Text::of("é".repeat(LEN).as_bytes());
        assert_eq!(long.as_str(), "é".repeat(LEN / 2));
        let odd = Text::of(format!("x{}", "é".repeat(LEN)).as_bytes());
        assert_eq!(odd.as_str().len(), LEN - 1);
        assert_eq!(Text::of(&[0xff; 300]).as_str().len(), LEN / 3 * 3);
        assert_eq!(Text::default().as_str(), "");
    }
}
