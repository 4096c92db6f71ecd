//! The steps between which tests kill a witness.

/// A step that was reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// A submission was accepted.
    Checked,
    /// Its batch was written, or the file that replaces the old one.
    Written,
    /// It is durable.
    Durable,
    /// It was cosigned.
    Cosigned,
    /// It was answered.
    Answered,
}

#[cfg(not(test))]
pub(crate) fn reached(_: Step) {}

#[cfg(test)]
pub(crate) use tests::reached;

#[cfg(test)]
pub(crate) mod tests {
    use std::sync::Mutex;

    use super::Step;

    /// How often this step must still be reached until the process is killed.
    pub(crate) static FATAL: Mutex<Option<(Step, u32)>> = Mutex::new(None);

    pub(crate) fn reached(step: Step) {
        let mut fatal = FATAL.lock().unwrap();
        if let Some((at, left)) = &mut *fatal
            && *at == step
        {
            *left -= 1;
            if *left == 0 {
                rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::KILL)
                    .unwrap();
            }
        }
    }
}
