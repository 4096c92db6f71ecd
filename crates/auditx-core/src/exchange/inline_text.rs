//! Short text that is stored in place, so that it costs no allocation: the request id, the description.

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
    /// Copies as much of the text as fits.
    pub(super) fn of(text: &str) -> Self {
        let mut copy = Self::default();
        copy.push(text);
        copy
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
        assert_eq!(Text::of("0199-abc").as_str(), "0199-abc");
        let long = Text::of(&"é".repeat(LEN));
        assert_eq!(long.as_str(), "é".repeat(LEN / 2));
        let odd = Text::of(&format!("x{}", "é".repeat(LEN)));
        assert_eq!(odd.as_str().len(), LEN - 1);
        assert_eq!(Text::default().as_str(), "");
    }
}
