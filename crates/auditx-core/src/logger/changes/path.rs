//! The error for a value that cannot be stored as JSON, with its path, such as `customer.limits[2].amount`.

use std::fmt;

/// A field of a record that cannot be stored as JSON, and the reason.
#[derive(Debug)]
pub(super) struct Unstorable {
    /// The path of the field, from the innermost step to the outermost.
    steps: Vec<Step>,
    why: String,
}

#[derive(Debug)]
enum Step {
    Field(String),
    Item(usize),
}

impl Unstorable {
    pub(super) fn new(why: impl fmt::Display) -> Self {
        Self { steps: Vec::new(), why: why.to_string() }
    }

    /// Prepends a field name to the path.
    pub(super) fn in_field(mut self, name: &str) -> Self {
        self.steps.push(Step::Field(name.to_owned()));
        self
    }

    /// Prepends an array index to the path.
    pub(super) fn in_item(mut self, index: usize) -> Self {
        self.steps.push(Step::Item(index));
        self
    }
}

impl fmt::Display for Unstorable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, step) in self.steps.iter().rev().enumerate() {
            match step {
                Step::Field(name) if number == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
            }
        }
        if !self.steps.is_empty() {
            f.write_str(": ")?;
        }
        f.write_str(&self.why)
    }
}

impl std::error::Error for Unstorable {}

impl serde::ser::Error for Unstorable {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message)
    }
}
