//! Every view, at every width, in light and dark: whole, open to everybody, and without a word of complaint from the browser.

use crate::{
    browser::{Browser, Scheme},
    emulator::Keda,
    stand_in::{Reply, StandIn},
    world::World,
};

/// What is looked at: a name for its pictures, and where it is.
fn views(world: &World) -> Vec<(&'static str, String)> {
    let one = |object: &str| format!("/triggers/{}", world.id(object));
    vec![
        ("triggers", "/".to_owned()),
        ("failing", "/?state=failing".to_owned()),
        ("by-value", "/?sort=-value".to_owned()),
        ("nothing", "/?q=no+such+thing".to_owned()),
        ("active", one("shop/billing")),
        ("idle", one("shop/mails")),
        ("denied", one("bank/ledger")),
        ("refused", one("bank/wrong")),
        ("unknown", one("shop/unheard")),
        ("connections", "/connections".to_owned()),
        ("server", "/server".to_owned()),
        ("errors", "/errors".to_owned()),
        ("gone", "/triggers/999999".to_owned()),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_view_is_open_to_everybody_at_every_width_in_light_and_dark() {
    let world = World::new(&[]).await;
    let browser = Browser::open().await;
    let mut faults = Vec::new();
    for (name, path) in views(&world) {
        for (width, scheme) in [(360, Scheme::Light), (1280, Scheme::Light), (1280, Scheme::Dark), (3840, Scheme::Dark)]
        {
            browser.look(width, scheme).await;
            browser.go(&world.url(&path)).await;
            if name != "errors" && name != "gone" {
                browser.until("document.getElementById('live').dataset.state === 'live'").await;
            }
            let (wide, high) = ("document.documentElement.scrollWidth", "document.documentElement.clientWidth");
            let too_wide = browser.value(&format!("{wide} > {high}")).await;
            if too_wide == true {
                faults.push(format!("{name} at {width}: wider than the screen"));
            }
            if width <= 1280 {
                let barriers = browser.barriers().await;
                faults.extend(barriers.into_iter().map(|barrier| format!("{name} at {width}, {scheme:?}: {barrier}")));
            }
            browser.picture(&format!("{name}-{width}-{scheme:?}").to_lowercase()).await;
        }
    }
    let console = browser.console().await;
    // The one page that is not there says so.
    let unexpected: Vec<&String> = console.iter().filter(|line| !line.contains("/triggers/999999")).collect();
    assert!(unexpected.is_empty(), "{unexpected:#?}");
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_script_the_page_is_a_plain_table() {
    let world = World::new(&[]).await;
    let browser = Browser::open().await;
    browser.without_scripts().await;
    browser.look(1280, Scheme::Light).await;
    browser.go(&world.url("/")).await;
    browser.picture("triggers-without-script").await;
    let page = world.server.page("/");
    assert_eq!(page.matches("<tr data-id=").count(), 8, "{page}");
    for words in ["shop/", "checkout", "42", "wake armed", "/?state=failing", "method=\"get\""] {
        assert!(page.contains(words), "{words}");
    }
    assert!(page.contains("<svg class=\"spark\""), "the picture is drawn by the server");
    browser.click("a.chip[data-state=refused]").await;
    assert!(browser.url().await.ends_with("/?state=refused"));
    browser.picture("refused-without-script").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_is_shown_from_question_to_answer() {
    let world = World::new(&[]).await;
    let browser = Browser::open().await;
    browser.look(1280, Scheme::Light).await;
    browser.go(&world.url(&format!("/triggers/{}", world.id("shop/billing")))).await;
    for (place, words) in [
        ("h1", &["group billing on topic orders"][..]),
        ("#result", &["1,234", "Active", "yes", "500", "⌈1,234 ÷ 500⌉", "3"]),
        ("#asks", &["shop/billing", "127.0.0.1", "ago"]),
        ("#metadata", &["consumerGroup", "billing", "metadata"]),
        ("#connection", &["kafka://", "working", "1 trigger", "would send 60 at least", "plain text", "own metadata"]),
        ("#look", &["Took", "other triggers"]),
        ("#parts", &["the sum of the lags, 1234", "1,200", "34", "nothing is committed: counts from the beginning"]),
        ("#history", &["at most 1,234"]),
    ] {
        let text = browser.text(place).await;
        assert!(words.iter().all(|word| text.contains(word)), "{place}: {words:?} in\n{text}");
    }
    browser.go(&world.url(&format!("/triggers/{}", world.id("bank/ledger")))).await;
    let told = browser.text(".failure").await;
    assert!(told.contains("Cause") && told.contains("Check") && told.contains("Cure"), "{told}");
    browser.click(".failure a").await;
    assert!(browser.url().await.ends_with("/errors#denied"));
    browser.go(&world.url("/connections")).await;
    let told = browser.text("#connections").await;
    assert!(told.contains("2 of") || told.contains("1 of"), "{told}");
    assert!(told.contains("http://127.0.0.1:1") && told.contains("in vain"), "{told}");
    assert!(told.contains("would send 60 at least") && told.contains("none: plain text"), "{told}");
    // What it sends a minute is known after some seconds.
    let kafka = "[...document.querySelectorAll('#connections li')].find((of) => of.innerText.includes('kafka://'))";
    browser.until(&format!("/Requests\\s+[1-9][0-9.]* a minute/.test({kafka}.innerText)")).await;
    browser.go(&world.url("/server")).await;
    let told = browser.text("#server").await;
    for words in [
        env!("CARGO_PKG_VERSION"),
        "8 triggers",
        "prometheus",
        "replies_in_flight",
        "never",
        "none: KEDA's port has no TLS",
        "not looked for",
        "--service",
    ] {
        assert!(told.contains(words), "{words} in\n{told}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn replicas_wakes_and_the_brokers_certificate_are_to_be_seen() {
    let secure = StandIn::secure(|_| {
        let body = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[0,"3"]}]}}"#;
        Reply::of_type(200, "application/json", body)
    })
    .await;
    let config = std::env::temp_dir().join(format!("plimsoll-page-config-{}.yaml", std::process::id()));
    let metrics = serde_json::json!({"connections": {"metrics": {
        "scalerType": "prometheus",
        "parameters": {"serverAddress": secure.url(), "ca": {"file": StandIn::authority()}},
    }}});
    std::fs::write(&config, metrics.to_string()).unwrap();
    let world = World::new(&["--service", "localhost", "--config", config.to_str().unwrap()]).await;
    let pairs = [("scalerType", "prometheus"), ("connection", "metrics"), ("query", "up"), ("threshold", "10")];
    let mut keda = Keda::of(world.server.channel(), ("shop", "secure"), &pairs);
    assert!(keda.active().await.unwrap());
    // A wake that leads to a push: a record comes, and the broker says so.
    let brokers = world.brokers();
    let group = [
        ("scalerType", "kafka"),
        ("bootstrapServers", brokers.as_str()),
        ("consumerGroup", "waiting"),
        ("topic", "news"),
        ("lagThreshold", "5"),
        ("offsetResetPolicy", "earliest"),
    ];
    let mut waiting = Keda::of(world.server.channel(), ("shop", "news"), &group);
    let mut stream = waiting.stream().await.unwrap();
    assert!(!waiting.active().await.unwrap());
    world.produce("news");
    assert!(stream.message().await.unwrap().unwrap().result);
    let browser = Browser::open().await;
    for (width, scheme) in [(360, Scheme::Light), (1280, Scheme::Light), (1280, Scheme::Dark)] {
        browser.look(width, scheme).await;
        browser.go(&world.url("/server")).await;
        browser.until("document.getElementById('server').innerText.includes('(this one)')").await;
        let told = browser.text("#server").await;
        for words in ["1 ready", "by localhost", "kafka", "Half within", "From a broker's signal to the push"] {
            assert!(told.contains(words), "{words} in\n{told}");
        }
        browser.picture(&format!("replicas-{width}-{scheme:?}").to_lowercase()).await;
        assert_eq!(browser.barriers().await, [""; 0]);
        browser.go(&world.url("/connections")).await;
        let told = browser.text("#connections").await;
        for words in
            ["yes, certificate of 127.0.0.1 expires in", "shown", "none: plain text", "connection metrics", "read"]
        {
            assert!(told.contains(words), "{words} in\n{told}");
        }
        browser.picture(&format!("certificate-{width}-{scheme:?}").to_lowercase()).await;
        assert_eq!(browser.barriers().await, [""; 0]);
    }
    assert!(browser.console().await.is_empty());
    std::fs::remove_file(config).unwrap();
}
