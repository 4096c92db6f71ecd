//! Measures the speed of building the index of a segment. Run it after a change of the index:
//! `cargo test --release -p auditx-store --test index_speed -- --ignored --nocapture`.

use std::hint::black_box;
use std::time::Instant;

use auditx_store::SegmentIndex;
use sha2::{Digest, Sha256};

/// Returns lines of typical length in the format of the library.
fn segment(bytes: usize) -> Vec<u8> {
    let mut text = String::with_capacity(bytes + 1_000);
    let mut seq = 0;
    while text.len() < bytes {
        let (second, micros) = (seq / 1_000 % 60, seq % 1_000_000);
        text += &format!(
            "{{\"seq\":{seq},\"id\":\"01920000-0000-7000-8000-{seq:012}\",\
             \"timestamp\":\"2026-11-24T15:24:{second:02}.{micros:06}Z\",\
             \"level\":\"INFO\",\"description\":\"{}\",\"success\":true}}\n",
            "x".repeat(400)
        );
        seq += 1;
    }
    text.into_bytes()
}

#[test]
#[ignore = "a measurement without assertions; run by hand, see above"]
fn an_index_costs_little_more_than_its_digest() {
    let text = segment(256 << 20);
    let rate = |begin: Instant| {
        let megabytes = u32::try_from(text.len() >> 20).unwrap();
        f64::from(megabytes) / begin.elapsed().as_secs_f64()
    };
    for _ in 0..3 {
        let begin = Instant::now();
        black_box(SegmentIndex::of(black_box(&*text)).unwrap());
        let index = rate(begin);
        let begin = Instant::now();
        black_box(Sha256::digest(black_box(&text)));
        println!("index {index:.0} MiB/s, SHA-256 alone {:.0} MiB/s", rate(begin));
    }
}
