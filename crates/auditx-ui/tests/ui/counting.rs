//! The page of counts: what it counts, where its links lead, whom it counts for.

use auditx_core::RequestContext;
use auditx_tests::browser::Browser;
use auditx_ui::{Dashboard, Viewer};

use crate::server::{HOSTILE, Server, TIMEOUT, Trail};

fn served(trail: &Trail, viewer: Viewer) -> Server {
    Server::of(Dashboard::unrecorded(trail.directory.path()).everyone_is(viewer))
}

#[test]
fn every_count_leads_to_the_entries_that_were_counted() {
    let trail = Trail::with(60);
    for _ in 0..7 {
        trail.logger.log_security("Login failed").user(HOSTILE).success(false).record().unwrap();
    }
    trail.logger.close(TIMEOUT).unwrap();
    let (server, browser) = (served(&trail, Viewer::new("mya")), Browser::start());
    browser.navigate(&server.url("/counts?q=user:thida%20OR%20success:false"));
    assert_eq!(browser.texts("main [role=status]"), ["67 entries, of which 7 failed."]);
    let links = browser.find_all(".facets a");
    let leads: Vec<(String, String)> =
        links.iter().map(|link| (link.text(), link.attribute("href").unwrap())).collect();
    let counts = browser.texts(".facets .quiet");
    assert!(leads.len() > 6 && leads.len() == counts.len(), "{leads:?} {counts:?}");
    for ((value, href), count) in leads.iter().zip(&counts) {
        browser.navigate(&server.url(href));
        let rows = browser.find_all("tbody tr").len();
        assert_eq!(rows.to_string(), *count, "{value}: {href}");
    }
    assert_eq!(browser.messages().len(), 0);
}

#[test]
fn a_bar_leads_to_its_period() {
    let trail = Trail::with(40);
    trail.logger.close(TIMEOUT).unwrap();
    let (server, browser) = (served(&trail, Viewer::new("mya")), Browser::start());
    browser.navigate(&server.url("/counts?q=Invoice"));
    let bars = browser.find_all("svg.timeline a");
    assert!(!bars.is_empty() && bars.len() <= 60);
    browser.find("details summary").click();
    let total: u64 =
        browser.texts("details td:nth-child(2)").iter().map(|count| count.parse::<u64>().unwrap()).sum();
    assert_eq!(total, 40);
    let counted = browser.texts("details td:nth-child(2)")[0].clone();
    let href = browser.find("details td a").attribute("href").unwrap();
    browser.navigate(&server.url(&href));
    let status = browser.find("main [role=status]").text();
    assert!(status.starts_with(&format!("{counted} entries")), "{status}");
}

#[test]
fn a_viewer_counts_only_what_exists_for_them() {
    let trail = Trail::new();
    for branch in ["YGN", "MDY", "MDY"] {
        let _scope = RequestContext::new().user("thida").branch_id(branch).enter();
        trail.logger.log("Invoice posted").record().unwrap();
    }
    trail.logger.flush(TIMEOUT).unwrap();
    let server = served(&trail, Viewer::new("mya").branch("MDY"));
    let page = server.get("/counts", "").body;
    assert!(page.contains("2 entries") && !page.contains("YGN"), "{page}");
    let other = server.get("/counts?q=branch:YGN%20OR%20user:thida", "").body;
    assert!(other.contains("2 entries") && !other.contains(">YGN<"), "{other}");
}
