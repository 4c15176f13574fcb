//! What moves: rows that follow their numbers, filters and search in the address, the keyboard.

use crate::{
    browser::{Browser, Scheme},
    world::World,
};

#[tokio::test(flavor = "multi_thread")]
async fn rows_follow_what_changes_without_a_new_page() {
    let world = World::new(&[]).await;
    let browser = Browser::open().await;
    browser.look(1280, Scheme::Light).await;
    browser.go(&world.url("/")).await;
    browser.until("document.getElementById('live').dataset.state === 'live'").await;
    browser.value("window.mine = 1").await;
    let (busy, calm) = (world.id("shop/checkout"), world.id("shop/mails"));
    let cell =
        |id: u64, field: &str| format!("document.querySelector('tr[data-id=\"{id}\"] [data-f={field}]').innerText");
    world.set("busy", 12_345.5);
    browser.until(&format!("{} === '12,345.5'", cell(busy, "value"))).await;
    browser.until(&format!("{} === '1,235'", cell(busy, "replicas"))).await;
    assert_eq!(browser.value(&cell(calm, "wake")).await, "wake armed");
    world.set("calm", 60.0);
    browser.until(&format!("document.querySelector('tr[data-id=\"{calm}\"] .state').innerText === 'active'")).await;
    browser.until(&format!("{} === 'by the clock'", cell(calm, "wake"))).await;
    // The counts above and the chips are of the server's next look at the list.
    browser.until("document.querySelector('.chip[data-state=active] b').innerText === '4'").await;
    world.set("busy", 0.0);
    browser.until(&format!("{} === '0'", cell(busy, "value"))).await;
    assert_eq!(browser.value("window.mine").await, 1, "all of that on one page");
    // A trigger's own page too.
    browser.go(&world.url(&format!("/triggers/{busy}"))).await;
    world.set("busy", 77.0);
    browser.until("document.querySelector('#result dd').innerText === '77'").await;
    browser.until("document.querySelector('.lead .state').innerText === 'active'").await;
    assert!(browser.console().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn filters_and_search_are_in_the_address_and_the_keyboard_reaches_all() {
    let world = World::new(&[]).await;
    let browser = Browser::open().await;
    browser.look(1280, Scheme::Dark).await;
    browser.go(&world.url("/")).await;
    assert_eq!(browser.count("tr[data-id]").await, 8);
    for (state, rows) in [("failing", 2), ("active", 3), ("warned", 1), ("refused", 1), ("stale", 0)] {
        browser.click(&format!("a.chip[data-state={state}]")).await;
        assert!(browser.url().await.ends_with(&format!("/?state={state}")));
        assert_eq!(browser.count("tr[data-id]").await, rows, "{state}");
    }
    browser.back().await;
    assert!(browser.url().await.ends_with("/?state=refused"));
    browser.go(&world.url("/")).await;
    // Tab: what skips the navigation comes first.
    browser.keys("\u{e004}").await;
    assert_eq!(browser.value("document.activeElement.className").await, "skip");
    browser.keys("\u{e007}").await;
    browser.value("document.querySelector('input[type=search]').focus()").await;
    browser.keys("LEDGER\u{e007}").await;
    browser.until("location.search.includes('q=LEDGER')").await;
    browser.until("document.readyState === 'complete'").await;
    assert_eq!(browser.count("tr[data-id]").await, 1);
    assert_eq!(browser.value("document.querySelector('input[type=search]').value").await, "LEDGER");
    browser.go(&world.url("/?namespace=bank&sort=-state")).await;
    assert_eq!(browser.count("tr[data-id]").await, 3);
    assert_eq!(browser.value("document.querySelector('th[aria-sort]').ariaSort").await, "descending");
    browser.go(&world.url("/?limit=3")).await;
    assert_eq!(browser.count("tr[data-id]").await, 3);
    browser.click("a[rel=next]").await;
    assert!(browser.text(".pager").await.contains("4–6 of 8"));
    assert!(browser.console().await.is_empty());
}
