//! Pauses between attempts: each twice the one before, and none the same on two machines.

use std::time::Duration;

use crate::settings::Settings;

#[derive(Debug)]
pub(crate) struct Backoff {
    first: Duration,
    longest: Duration,
    next: Duration,
}

impl Backoff {
    pub(crate) fn new(settings: &Settings) -> Self {
        Self { first: settings.first_pause, longest: settings.longest_pause, next: settings.first_pause }
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    /// Between half of the pause and all of it, so that those who failed together do not come back together.
    pub(crate) fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let pause = self.next.min(self.longest);
        self.next = pause * 2;
        // Without randomness it is the longest of what it may be.
        let part = getrandom::u32().map_or(1.0, |number| f64::from(number) / f64::from(u32::MAX));
        let jittered = pause.mul_f64(0.5 + part / 2.0);
        asked.map_or(jittered, |asked| asked.max(jittered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest_and_begin_anew_after_a_success() {
        let settings = Settings {
            first_pause: Duration::from_millis(100),
            longest_pause: Duration::from_millis(350),
            ..Settings::default()
        };
        let mut backoff = Backoff::new(&settings);
        for longest in [100, 200, 350, 350] {
            let pause = backoff.pause(None).as_millis();
            assert!((longest / 2..=longest).contains(&pause), "{pause} of {longest}");
        }
        assert_eq!(backoff.pause(Some(Duration::from_secs(9))), Duration::from_secs(9));
        backoff.reset();
        assert!(backoff.pause(None).as_millis() <= 100);
    }
}
