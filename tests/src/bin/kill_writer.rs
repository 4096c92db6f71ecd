//! Records from four threads until it is killed: `kill_writer DIRECTORY ROUND`.

use auditx_core::{AuditLogger, Config};
use auditx_tests::report::record_for_ever;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, directory, round] = arguments.as_slice() else { panic!("usage: kill_writer DIRECTORY ROUND") };
    let round: u64 = round.parse().expect("the round is a number");
    // Segments as small as they may be, so that sealing and compressing are often under way.
    let logger = AuditLogger::open(Config::new(directory).max_file_bytes(65_536)).expect("the trail opens");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let logger = &logger;
            scope.spawn(move || {
                let error = record_for_ever(logger, round, thread);
                eprintln!("thread {thread} cannot go on: {error}");
                std::process::abort();
            });
        }
    });
}
