//! Random texts of every kind, the same in each run.

/// xorshift64*.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 8
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(limit).unwrap()).unwrap()
    }

    fn char(&mut self) -> char {
        const SPECIAL: &[char] = &[
            '|', '=', '\\', '"', ']', '[', ',', ';', '\'', '+', '-', '@', ' ', '\n', '\r', '\t', '\0',
            '\u{1b}', '\u{7f}', '\u{85}', '\u{9b}', '\u{61c}', '\u{200e}', '\u{2028}', '\u{202e}',
            '\u{2066}', '\u{feff}', '＝', 'é', 'ခ', '🦀', '\u{fffd}', '\u{200d}', '{', '}', ':', '<', '>',
            'n', 'r', 'u', '0',
        ];
        match self.below(3) {
            0 => char::from(u8::try_from(0x20 + self.below(0x5f)).unwrap()),
            1 => SPECIAL[self.below(SPECIAL.len())],
            _ => char::from_u32(u32::try_from(self.below(0x11_0000)).unwrap()).unwrap_or('\u{d7ff}'),
        }
    }

    /// One to forty characters.
    pub(crate) fn text(&mut self) -> String {
        (0..=self.below(40)).map(|_| self.char()).collect()
    }
}
