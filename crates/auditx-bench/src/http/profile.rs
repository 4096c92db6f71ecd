//! Profiles a server with perf(1) and writes a flame graph of it.

use std::io::{BufReader, BufWriter};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use inferno::collapse::Collapse;
use inferno::collapse::perf::{Folder, Options as FolderOptions};
use inferno::flamegraph;
use rustix::process::{Pid, Signal, kill_process};

use crate::Outcome;

/// Samples of each thread in a second. A prime number, so that nothing periodic is met at the same point.
const RATE: &str = "997";

/// Stacks are unwound from copies of this many bytes, since the binary has no frame pointers.
const CALL_GRAPH: &str = "dwarf,16384";

/// A profile in progress.
pub(super) struct Profile {
    perf: Child,
    data: tempfile::NamedTempFile,
    target: PathBuf,
}

impl Profile {
    /// Begins to profile a process.
    pub(super) fn start(process: u32, target: &Path) -> Outcome<Self> {
        let data = tempfile::NamedTempFile::new()?;
        let perf = Command::new("perf")
            .args(["record", "--quiet", "--freq", RATE, "--call-graph", CALL_GRAPH, "--output"])
            .arg(data.path())
            .args(["--pid", &process.to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .spawn()
            .map_err(|error| format!("cannot start `perf`, which --profile needs: {error}"))?;
        Ok(Self { perf, data, target: target.to_owned() })
    }

    /// Ends the profile and writes the flame graph of its stacks, each below the name of its thread.
    pub(super) fn finish(mut self, subject: &str) -> Outcome<()> {
        let perf = Pid::from_child(&self.perf);
        kill_process(perf, Signal::INT)?;
        // After the signal perf writes what it has, and ends with the signal's status.
        self.perf.wait()?;
        let script = Command::new("perf")
            .args(["script", "--input"])
            .arg(self.data.path())
            .stderr(Stdio::null())
            .output()?;
        if !script.status.success() {
            return Err(format!("`perf script` ended with {}", script.status).into());
        }
        let mut folded = Vec::new();
        Folder::from(FolderOptions::default()).collapse(BufReader::new(&*script.stdout), &mut folded)?;
        let path = self.target.join(format!("{subject}.svg"));
        let mut options = flamegraph::Options::default();
        options.title = format!("CPU time of {subject}");
        let file = BufWriter::new(std::fs::File::create(&path)?);
        flamegraph::from_reader(&mut options, &*folded, file)?;
        eprintln!("profile: wrote {}", path.display());
        Ok(())
    }
}
