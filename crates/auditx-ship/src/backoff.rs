//! Exponential backoff with jitter: the pauses between attempts.

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
        Self {
            first: settings.initial_backoff,
            longest: settings.max_backoff,
            next: settings.initial_backoff,
        }
    }

    pub(crate) fn reset(&mut self) {
        self.next = self.first;
    }

    /// Returns the next pause. It is randomised between half and all of the nominal pause, so that shippers
    /// that failed at the same time do not retry at the same time. A pause that the destination asked for is
    /// a minimum.
    pub(crate) fn pause(&mut self, asked: Option<Duration>) -> Duration {
        let pause = self.next.min(self.longest);
        self.next = pause * 2;
        // Without random numbers, the nominal pause is used.
        let fraction = getrandom::u32().map_or(1.0, |number| f64::from(number) / f64::from(u32::MAX));
        let jittered = pause.mul_f64(0.5 + fraction / 2.0);
        asked.map_or(jittered, |asked| asked.max(jittered))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_maximum_and_reset_after_a_success() {
        let settings = Settings {
            initial_backoff: Duration::from_millis(100),
            max_backoff: Duration::from_millis(350),
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
