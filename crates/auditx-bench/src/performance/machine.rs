//! The description of the machine on which a page was measured.

use std::fmt;
use std::path::Path;
use std::time::SystemTime;

/// The properties of the machine; unavailable ones are `unknown`.
#[derive(Debug)]
pub(super) struct Machine {
    cpu: String,
    cores: usize,
    memory_mib: u64,
    kernel: String,
    file_system: String,
    rustc: String,
    measured: String,
}

impl Machine {
    pub(super) fn of_this(directory: &Path) -> Self {
        let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
        let value = |text: &str, name: &str| {
            let line = text.lines().find(|line| line.starts_with(name));
            line.and_then(|line| line.split_once(':'))
                .map_or_else(|| "unknown".to_owned(), |(_, value)| value.trim().to_owned())
        };
        let memory = value(&read("/proc/meminfo"), "MemTotal");
        let kib: u64 = memory.split(' ').next().and_then(|number| number.parse().ok()).unwrap_or(0);
        let system = rustix::system::uname();
        Self {
            cpu: value(&read("/proc/cpuinfo"), "model name"),
            cores: std::thread::available_parallelism().map_or(0, usize::from),
            memory_mib: kib / 1_024,
            kernel: format!("{} {}", system.sysname().to_string_lossy(), system.release().to_string_lossy()),
            file_system: file_system(directory),
            rustc: output(&["rustc", "--version"]),
            measured: humantime::format_rfc3339_seconds(SystemTime::now()).to_string(),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { cpu, cores, memory_mib, kernel, file_system, rustc, measured } = self;
        writeln!(f, "- {cpu}, {cores} cores, {memory_mib} MiB of memory, shared with others")?;
        writeln!(f, "- {kernel}, {file_system}")?;
        writeln!(f, "- {rustc}, release")?;
        write!(f, "- {measured}")
    }
}

fn file_system(directory: &Path) -> String {
    match rustix::fs::statfs(directory).map(|found| u64::try_from(found.f_type).unwrap_or(0)) {
        Ok(0xEF53) => "ext4".to_owned(),
        Ok(0x5846_5342) => "XFS".to_owned(),
        Ok(0x0102_1994) => "tmpfs".to_owned(),
        Ok(other) => format!("file system of type {other:#x}"),
        Err(_) => "an unknown file system".to_owned(),
    }
}

fn output(command: &[&str]) -> String {
    let output = std::process::Command::new(command[0]).args(&command[1..]).output();
    output.map_or_else(
        |_| "unknown".to_owned(),
        |output| String::from_utf8_lossy(&output.stdout).trim().to_owned(),
    )
}
