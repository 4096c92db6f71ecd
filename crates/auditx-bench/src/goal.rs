//! What a measurement is to show, and what it showed.

#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) what: &'static str,
    pub(crate) measured: String,
    pub(crate) reached: bool,
}
