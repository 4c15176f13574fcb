//! What must not happen: a secret in a page, a name that runs, a request to elsewhere.

use crate::{
    browser::{Browser, Scheme},
    world::{HOSTILE_NAME, HOSTILE_QUERY, SECRET, World},
};

#[tokio::test(flavor = "multi_thread")]
async fn no_page_has_a_secret_and_no_name_is_more_than_text() {
    let world = World::new(&[]).await;
    let browser = Browser::open().await;
    browser.look(1280, Scheme::Light).await;
    let mut paths: Vec<String> = world.server.triggers().iter().map(|row| format!("/triggers/{}", row["id"])).collect();
    paths.extend(["/", "/?q=s3cret", "/connections", "/server", "/errors"].map(str::to_owned));
    for path in &paths {
        browser.go(&world.url(path)).await;
        let page = world.server.page(path);
        assert!(!page.contains(SECRET), "{path}");
        assert!(!page.contains(HOSTILE_NAME) && !page.contains(HOSTILE_QUERY), "{path}: {page}");
        // Neither by us nor by what would stand in our markup.
        assert_eq!(browser.count("script:not([type=module]), [style], [onerror], main img, iframe").await, 0, "{path}");
        let elsewhere =
            "performance.getEntriesByType('resource').filter((of) => !of.name.startsWith(location.origin)).length";
        assert_eq!(browser.value(elsewhere).await, 0, "{path}");
    }
    let id = world.id(&format!("zoo/{HOSTILE_NAME}"));
    browser.go(&world.url(&format!("/triggers/{id}"))).await;
    assert!(browser.text("#asks").await.contains(HOSTILE_NAME), "it is there, as text");
    assert!(browser.text("h1").await.contains(HOSTILE_QUERY));
    assert!(browser.console().await.is_empty());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_browser_shows_the_token_as_a_password() {
    let file = std::env::temp_dir().join(format!("plimsoll-page-token-{}", std::process::id()));
    std::fs::write(&file, "0123456789abcdef").unwrap();
    let server = crate::process::Process::start(&["--admin-token-file", file.to_str().unwrap()]);
    let browser = Browser::open().await;
    browser.go(&format!("http://anybody:0123456789abcdef@{}/", server.admin)).await;
    browser.until("document.getElementById('live').dataset.state === 'live'").await;
    assert!(browser.text("main").await.contains("No trigger is observed yet"));
    assert!(browser.console().await.is_empty(), "styles, script and events are let in too");
    std::fs::remove_file(file).unwrap();
}
