//! Records from four threads until it is killed: `kill_writer DIRECTORY ROUND [shared]`. With `shared`, other
//! processes record into the same trail.

use std::path::Path;

use auditx_core::AuditLogger;
use auditx_tests::report::record_forever;
use auditx_tests::{kill_loop, process_loop};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, directory, round, shared @ ..] = arguments.as_slice() else {
        panic!("usage: kill_writer DIRECTORY ROUND [shared]")
    };
    let (directory, round) = (Path::new(directory), round.parse().expect("the round is a number"));
    let config =
        if shared.is_empty() { kill_loop::config(directory, round) } else { process_loop::config(directory) };
    let logger = AuditLogger::open(config).expect("the trail opens");
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
