//! The options that all benchmarks share.

use std::path::PathBuf;

use clap::Args;
use tempfile::TempDir;

use crate::Outcome;

#[derive(Debug, Args)]
pub(crate) struct Repetition {
    /// Print one JSON object per line
    #[arg(long)]
    pub(crate) json: bool,
    /// Runs of each subject, interleaved; medians are reported
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) runs: u32,
    /// Where to create a directory for each run [default: the temporary directory]
    #[arg(long)]
    dir: Option<PathBuf>,
}

impl Repetition {
    /// Returns the existing directory in which the directories of runs are created.
    pub(crate) fn parent(&self) -> Outcome<PathBuf> {
        let parent = self.dir.clone().unwrap_or_else(std::env::temp_dir);
        std::fs::create_dir_all(&parent)?;
        Ok(parent)
    }

    /// Creates a directory that is removed when it is dropped.
    pub(crate) fn directory(&self) -> Outcome<TempDir> {
        Ok(tempfile::Builder::new().prefix("auditx-bench-").tempdir_in(self.parent()?)?)
    }
}
