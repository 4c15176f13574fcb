//! `plimsoll explain` at a real server: the chain, names, tokens, changes, and texts that mean harm.

use std::process::Stdio;

use serde_json::{Value, json};
use tokio::{
    io::{AsyncBufReadExt, BufReader, Lines},
    process::{Child, ChildStdout},
    time::timeout,
};

use crate::{
    shop::{PATIENCE, Shop, harmless, plimsoll, run},
    stand_in::{Reply, StandIn},
};

#[tokio::test(flavor = "multi_thread")]
async fn a_trigger_is_explained_from_question_to_answer_and_a_failing_one_with_its_cure() {
    let shop = Shop::open(&[]).await;
    let mut keda = shop.keda(("shop", "orders"), "sum(up)");
    keda.poll().await.unwrap();
    let well = shop.ask(&["explain", "orders"]).await;
    well.is(
        0,
        &[
            "shop/orders  prometheus  active\n",
            "asked by",
            "shop/orders: KEDA's poll ",
            "(from 127.0.0.1)",
            "understood",
            "query",
            " = sum(up)",
            "connection",
            ": working since ",
            "last look",
            "value        42 ",
            "activation   active",
            "target       10 for each replica",
            "replicas     5  ⌈42 ÷ 10⌉ = 5",
            "history",
        ],
    );
    assert!(!well.out.contains("error"), "{}", well.out);
    let told = shop.ask(&["explain", "shop/orders", "--output", "json"]).await;
    let told: Value = serde_json::from_str(&told.out).unwrap();
    let trigger = &told["triggers"][0];
    assert_eq!((&trigger["trigger"]["value"], &trigger["trigger"]["replicas"]), (&json!(42.0), &json!(5.0)));
    assert_eq!(trigger["server"]["version"], env!("CARGO_PKG_VERSION"));

    shop.says("denied");
    let failing = async {
        loop {
            let told = shop.ask(&["explain", "orders"]).await;
            if told.code == Some(1) {
                return told;
            }
        }
    };
    let failing = timeout(PATIENCE, failing).await.expect("it fails");
    let steps = ["error        denied: ", "in a row", "cause", "check", "cure", "see        docs/errors.md#denied"];
    failing.is(1, &[&["shop/orders  prometheus  failing\n"][..], &steps].concat());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_that_means_none_or_several_says_which_there_are() {
    let shop = Shop::open(&[]).await;
    shop.ask(&["explain", "orders"]).await.is(2, &["there is no trigger `orders`, and no other", "scalerAddress"]);
    for (object, query) in
        [(("shop", "orders"), "a"), (("shop", "orders"), "b"), (("bank", "orders"), "c"), (("bank", "books"), "d")]
    {
        shop.keda(object, query).poll().await.unwrap();
    }
    let several = shop.ask(&["explain", "orders"]).await;
    several.is(2, &["`orders` is in several namespaces: `bank/orders`, `shop/orders`"]);
    shop.ask(&["explain", "ordrs"]).await.is(2, &["did you mean one of `bank/orders`, `shop/orders`?"]);
    shop.ask(&["explain", "bank/bookz"]).await.is(2, &["did you mean `bank/books`?"]);
    shop.ask(&["explain", "something-else"]).await.is(2, &["`bank/books`, `bank/orders`, `shop/orders`"]);
    shop.ask(&["explain", "a//b"]).await.is(2, &["[NAMESPACE/]NAME[/TRIGGER]"]);
    // One object: all of its triggers.
    shop.ask(&["explain", "shop/orders"]).await.is(0, &["query", " = a\n", "shop/orders", "query", " = b\n"]);
    let twins = shop.ask(&["explain", "shop/orders/prometheus"]).await;
    twins.is(2, &["has 2 triggers `prometheus`: shop/orders/"]);
    shop.ask(&["explain", "books/prometheus"]).await.is(0, &[" = d\n"]);
    shop.ask(&["explain", "bank/books/kafka"])
        .await
        .is(2, &["`bank/books` has no trigger `kafka`: there is bank/books/"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_wants_a_token_or_is_none_is_said_to_be_so() {
    let file = std::env::temp_dir().join(format!("plimsoll-token-{}", std::process::id()));
    std::fs::write(&file, "0123456789abcdef\n").unwrap();
    let (file, other) =
        (file.to_str().unwrap(), std::env::temp_dir().join(format!("plimsoll-other-{}", std::process::id())));
    std::fs::write(&other, "fedcba9876543210").unwrap();
    let shop = Shop::open(&["--admin-token-file", file]).await;
    shop.keda(("shop", "orders"), "a").poll().await.unwrap();
    shop.ask(&["explain", "orders"]).await.is(2, &["wants a token", "`--token-file`"]);
    let wrong = shop.ask(&["explain", "orders", "--token-file", other.to_str().unwrap()]).await;
    wrong.is(2, &["does not take the token"]);
    assert!(!wrong.err.contains("fedcba"), "{}", wrong.err);
    shop.ask(&["explain", "orders", "--token-file", file]).await.is(0, &["value        42"]);
    shop.ask(&["explain", "orders", "--token-file", "/nowhere"]).await.is(2, &["`--token-file`: /nowhere: "]);
    run(&["explain", "orders", "--server", "127.0.0.1:1"]).await.is(2, &["127.0.0.1:1", "cannot be"]);
    let stranger = StandIn::new(|_| Reply::of_type(200, "text/html", "<html>")).await;
    run(&["explain", "orders", "--server", &stranger.url()]).await.is(2, &["is it the admin port (8080)?"]);
    let other = StandIn::new(|_| Reply::new(404, "not here")).await;
    run(&["top", "--server", &other.url()]).await.is(2, &["is it the admin port (8080)?"]);
    run(&["explain", "orders", "--server", "ftp://x"]).await.is(2, &["`http://127.0.0.1:8080`"]);
}

/// What a server that is none of ours might say to harm who looks.
fn hostile(path: &str) -> Reply {
    let evil =
        "\u{1b}[2J\u{1b}]0;pwned\u{7}\u{202e}gnp.exe\u{200b}\r\nforged line\u{9b}31m".to_owned() + &"很".repeat(9000);
    let row = json!({
        "id": 1, "state": evil, "scaledObjects": ["shop/orders", evil], "scalerType": evil, "source": evil, "connection": evil,
        "metric": evil, "target": 1e300, "value": 1e300, "active": true, "replicas": 1e300, "warnings": [evil], "wake": evil,
        "error": {"kind": evil, "message": evil, "sinceAt": -1e300, "count": 3},
        "objects": [{"kind": evil, "namespace": "shop", "name": "orders", "triggerName": evil}],
    });
    let body = match path.split('?').next().unwrap() {
        "/api/v1/server" => json!({"version": evil, "host": evil, "nowAt": 1e9}),
        "/api/v1/triggers" => json!({"total": 1, "counts": {(evil.clone()): 1}, "triggers": [row]}),
        _ => json!({
            "trigger": row, "askers": [{"namespace": evil, "name": evil, "peer": evil}], "push": evil, "logins": [evil],
            "metadata": [{"key": evil, "value": evil, "origin": evil}],
            "connection": {"place": evil, "state": evil, "error": {"kind": evil, "message": evil}},
            "parts": {"rule": evil, "columns": [evil, "b"], "rows": [[evil, 1e300], [], [null], [1, 2, 3]]},
            "help": {"anchor": evil, "cause": evil, "check": evil, "cure": evil},
        }),
    };
    Reply::of_type(200, "application/json", body.to_string())
}

#[tokio::test(flavor = "multi_thread")]
async fn no_text_of_a_servers_can_harm_a_terminal() {
    let server = StandIn::new(|call| hostile(&call.target)).await;
    for arguments in
        [&["explain", "orders"][..], &["explain", "orders", "--output", "json"], &["top"], &["top", "--output", "json"]]
    {
        let told = run(&[arguments, &["--server", &server.url()]].concat()).await;
        assert_eq!(told.code, Some(0), "{told:?}");
        assert!(told.out.contains("shop/orders") && told.out.len() < 200_000, "{}", told.out.len());
        harmless(&told.out);
        assert!(!told.out.lines().any(|line| line.starts_with("forged")), "{}", told.out);
    }
}

/// Lines of a command that goes on.
struct Followed(Child, Lines<BufReader<ChildStdout>>);

impl Followed {
    fn start(arguments: &[&str]) -> Self {
        let mut child = plimsoll(arguments).stderr(Stdio::inherit()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines();
        Self(child, lines)
    }

    async fn until(&mut self, words: &str) -> String {
        let found = async {
            loop {
                let line = self.1.next_line().await.unwrap().unwrap_or_else(|| panic!("it ended before `{words}`"));
                if line.contains(words) {
                    return line;
                }
            }
        };
        timeout(PATIENCE, found).await.unwrap_or_else(|_| panic!("never `{words}`"))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn changes_are_printed_as_they_come_until_the_end() {
    let shop = Shop::open(&[]).await;
    let mut keda = shop.keda(("shop", "orders"), "a");
    keda.poll().await.unwrap();
    let url = shop.url();
    let mut text = Followed::start(&["explain", "orders", "--follow", "--server", &url]);
    let mut json = Followed::start(&["explain", "orders", "--follow", "--output", "json", "--server", &url]);
    text.until("target ").await;
    json.until("\"triggers\"").await;
    // The stream may not be open yet: a change that comes before it is no change to it.
    let mut value = 42;
    let told = loop {
        value += 1;
        shop.says(&value.to_string());
        keda.poll().await.unwrap();
        if let Ok(line) = timeout(std::time::Duration::from_secs(3), text.until("value ")).await {
            break line;
        }
    };
    assert!(told.contains('Z') && told.contains(" → "), "{told}");
    let line = json.until("\"change\"").await;
    let change: Value = serde_json::from_str(&line).unwrap();
    assert!(change["change"]["value"].as_f64().unwrap() > 42.0, "{line}");
    drop(shop);
    text.until("cannot be asked").await;
    json.until("\"away\"").await;
    let sent = std::process::Command::new("kill").args(["-TERM", &text.0.id().unwrap().to_string()]).status().unwrap();
    assert!(sent.success());
    let ended = timeout(PATIENCE, text.0.wait()).await.expect("it ends").unwrap();
    assert_eq!(ended.code(), Some(0));
}
