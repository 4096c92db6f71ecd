//! A performance goal and its measured result.

#[derive(Debug)]
pub(crate) struct Goal {
    pub(crate) what: &'static str,
    pub(crate) measured: String,
    pub(crate) reached: bool,
}
