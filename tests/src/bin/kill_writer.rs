//! Records from four threads until it is killed: `kill_writer DIRECTORY ROUND`.

use std::path::Path;

use auditx_core::AuditLogger;
use auditx_tests::kill_loop::config;
use auditx_tests::report::record_forever;

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, directory, round] = arguments.as_slice() else { panic!("usage: kill_writer DIRECTORY ROUND") };
    let round: u64 = round.parse().expect("the round is a number");
    let logger = AuditLogger::open(config(Path::new(directory), round)).expect("the trail opens");
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let logger = &logger;
            scope.spawn(move || {
                let error = record_forever(logger, round, thread);
                eprintln!("thread {thread} cannot record: {error}");
                std::process::abort();
            });
        }
    });
}
