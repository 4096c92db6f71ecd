//! Saved queries on the page of the trail.

use auditx_tests::browser::Browser;
use auditx_ui::{Dashboard, SavedQueries, Viewer};

use crate::server::{Server, Trail};

fn showing(trail: &Trail, queries: &str) -> Server {
    let path = trail.directory.path().join("queries.json");
    std::fs::write(&path, queries).unwrap();
    let dashboard = Dashboard::new(&trail.logger).unwrap().everyone_is(Viewer::new("mya"));
    Server::of(dashboard.saved(SavedQueries::read(path).unwrap()))
}

const TWO: &str = r#"[
    {"name": "Mandalay <b>", "query": "branch:MDY", "since": "1d"},
    {"name": "Security", "query": "", "source": "security"}
]"#;

#[test]
fn a_saved_query_is_a_link_in_the_browser() {
    let trail = Trail::with(4);
    let (server, browser) = (showing(&trail, TWO), Browser::start());
    browser.navigate(&server.url("/"));
    assert!(browser.find("main").text().contains("Invoice 2 posted"));
    browser.find("nav.saved li:first-child a").click();
    let found = browser.find("main").text();
    assert!(found.contains("Invoice 3 posted") && !found.contains("Invoice 2 posted"), "{found}");
    assert_eq!(browser.find("nav.saved a[aria-current]").text(), "Mandalay <b>");
}

#[test]
fn saved_queries_keep_the_time_zone_and_remain_after_a_mistake() {
    let trail = Trail::with(1);
    let server = showing(&trail, TWO);
    let page = server.get("/?q=usr:x&tz=Asia/Yangon", "");
    assert_eq!(page.status, 400);
    assert!(
        page.body.contains("href=\"/?q=branch%3AMDY&amp;since=1d&amp;tz=Asia%2FYangon\""),
        "{}",
        page.body
    );
    assert!(page.body.contains("Mandalay &lt;b&gt;") && page.body.contains("/?source=security"));
}
