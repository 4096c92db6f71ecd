//! Records through the process-wide logger and leaves in the given way, never calling `close`: `leave DIRECTORY WAY`.
//!
//! It reports each entry that was accepted, then says `leaving`.

use std::time::Duration;

use auditx_core::{Config, audit, configure};
use auditx_tests::report::{Report, record_for_ever, say};

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, directory, way] = arguments.as_slice() else { panic!("usage: leave DIRECTORY WAY") };
    configure(Config::new(directory)).expect("the trail opens");
    for number in 0..100 {
        let report = Report { round: 0, thread: 0, number };
        audit().log(report.to_string()).record().expect("the entry is accepted");
        say(&report);
    }
    if way.ends_with("-while-others-record") {
        for thread in 1..4 {
            std::thread::spawn(move || record_for_ever(audit(), 0, thread));
        }
        auditx_tests::deadline::wait_until("entries of other threads", || audit().metrics().accepted > 500);
    }
    say(&"leaving");
    match way.as_str() {
        "return" | "return-while-others-record" => {}
        "exit" | "exit-while-others-record" => std::process::exit(7),
        "panic" => {
            // It is meant, and nobody needs to read about it.
            std::panic::set_hook(Box::new(|_| {}));
            panic!("on purpose");
        }
        "abort" => std::process::abort(),
        "stay" => loop {
            std::thread::sleep(Duration::from_secs(3_600));
        },
        other => panic!("{other:?} is no way to leave"),
    }
}
