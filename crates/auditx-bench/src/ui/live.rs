//! How long it takes until a browser shows that an entry is new, with other viewers beside it.

use std::net::SocketAddr;
use std::path::Path;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use auditx_core::{AuditLogger, Config, Console};
use auditx_tests::browser::Browser;
use auditx_tests::deadline::wait_until;
use auditx_tests::events::EventStream;

use crate::{Outcome, quantile};

/// Viewers besides the browser.
const VIEWERS: usize = 50;

/// A page that shows only the entries of this benchmark.
pub(super) const PAGE: &str = "/?q=text:livemark&live=on";

/// Keeps the time at which each number of new entries is on the page.
const OBSERVE: &str = "
window.seen = [];
const live = document.getElementById('live');
const look = () => {
    const count = parseInt(live.textContent) || 0;
    while (seen.length < count) seen.push(Date.now());
};
new MutationObserver(look).observe(live, { childList: true, subtree: true, characterData: true });";

/// Returns the milliseconds from recording an entry until the page says that it is new, for each of `count`
/// entries.
pub(super) fn measure(address: SocketAddr, trail: &Path, count: u32) -> Outcome<Vec<f64>> {
    let logger = AuditLogger::open(Config::new(trail).console(Console::Off))?;
    for _ in 0..VIEWERS {
        let mut events = EventStream::connect(address, "/api/v1/stream?q=text:livemark", "");
        // Ends with the server.
        drop(thread::Builder::new().spawn(move || events.by_ref().for_each(drop))?);
    }
    let browser = Browser::start();
    browser.navigate(&format!("http://{address}{PAGE}"));
    wait_until("the connection", || browser.find("#live").text() == "Waiting for new entries");
    browser.execute(OBSERVE, &[]);
    let mut recorded = Vec::new();
    for number in 1..=count {
        recorded.push(now_ms()?);
        logger.log(format!("livemark {number}")).record()?;
        wait_until("the entry", || {
            browser.execute("return seen.length", &[]).as_u64() >= Some(u64::from(number))
        });
    }
    let seen = browser.execute("return seen", &[]);
    let seen = seen.as_array().ok_or("the page returned no times")?;
    let times = seen.iter().zip(&recorded).filter_map(|(seen, recorded)| Some(seen.as_f64()? - recorded));
    let times = times.collect();
    logger.close(Duration::from_secs(60))?;
    Ok(times)
}

fn now_ms() -> Outcome<f64> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH)?;
    Ok(quantile::float(u64::try_from(since.as_micros())?) / 1e3)
}
