//! The config file with the real binary: what it may say, what ends the server before it serves, and what a change does.

use std::{fs, process::Command};

use tonic::Code;

use crate::{certificates::Mount, emulator::Keda, process::Process};

const FILE: &str = "connections:\n  main:\n    scalerType: kafka\n    namespaces: [shop]\n    parameters:\n      bootstrapServers: 127.0.0.1:1\n      \
                    sasl: plaintext\n      username: {env: PATH}\n      password: {file: PASSWORD}\n";

fn mount(config: &str) -> Mount {
    let mut mount = Mount::new(&[("config.yaml", ""), ("password", "hunter2\n")]);
    let config = config.replace("PASSWORD", &mount.path("password"));
    mount.swap(&[("config.yaml", &config), ("password", "hunter2\n")]);
    mount
}

async fn answer(server: &Process, connection: &str) -> (Code, String) {
    let trigger = [("scalerType", "kafka"), ("connection", connection), ("consumerGroup", "g"), ("topic", "t")];
    let mut keda = Keda::new(server.channel(), "orders", &trigger);
    let status = keda.active().await.expect_err("nobody is there");
    (status.code(), status.message().to_owned())
}

fn plimsoll(args: &[&str]) -> (Option<i32>, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_plimsoll")).args(args).output().unwrap();
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8(said).unwrap())
}

#[tokio::test]
async fn a_trigger_may_name_a_connection_and_a_changed_file_is_followed() {
    let mut mount = mount(FILE);
    let server = Process::start(&["--config", &mount.path("config.yaml")]);
    let (code, text) = answer(&server, "main").await;
    assert_eq!(code, Code::Unavailable, "{text}");
    assert!(text.contains("127.0.0.1:1"), "{text}");
    assert_eq!(answer(&server, "other").await.0, Code::InvalidArgument);

    // The password alone: a file that the file names.
    let config = FILE.replace("PASSWORD", &mount.path("password"));
    mount.swap(&[("config.yaml", &config), ("password", "another\n")]);
    server.until_log("changed files are in use");
    // The connection has another name now, and another is wrong.
    mount.swap(&[("config.yaml", &config.replace("  main:", "  other:")), ("password", "another\n")]);
    loop {
        let (code, text) = answer(&server, "other").await;
        if code == Code::Unavailable {
            break;
        }
        assert_eq!(code, Code::InvalidArgument, "{text}");
    }
    mount.swap(&[("config.yaml", "connections: {other: {}}"), ("password", "another\n")]);
    server.until_log("changed files cannot be used");
    assert_eq!(answer(&server, "other").await.0, Code::Unavailable, "the former ones stay");
    assert!(!server.log().contains("hunter2") && !server.log().contains("another\n"));
    let page = server.page("/api/v1/triggers");
    assert!(!page.contains("hunter2"), "{page}");
}

#[test]
fn a_config_that_cannot_be_used_ends_it_before_it_serves() {
    let one = |inner: &str| format!("connections: {{main: {{scalerType: kafka, parameters: {{{inner}}}}}}}");
    for (config, words) in [
        (one("passwort: x"), "`connections.main.parameters` cannot have `passwort`: it may have"),
        (one("password: {file: /nowhere}"), "`/nowhere` cannot be read"),
        (one("password: {env: NO_SUCH_VARIABLE}"), "no environment variable `NO_SUCH_VARIABLE`"),
        (one("password: {vault: x}"), "line 1"),
        (one("").replace("kafka", "kafkaesque"), "`kafkaesque` is no kind of broker"),
        ("connection: {}".to_owned(), "connection"),
        ("policy: {default: {allow: ['http://x']}}".to_owned(), "`default.allow[0]`"),
        ("limits: {triggers: many}".to_owned(), "line 1"),
        ("[".to_owned(), "line"),
        ("\u{0}".to_owned(), "--config"),
    ] {
        let mount = Mount::new(&[("config.yaml", &config)]);
        let path = mount.path("config.yaml");
        let (code, said) = Process::refuses(&["--config".to_owned(), path.clone()]);
        assert_eq!(code, Some(64), "{config}: {said}");
        assert!(said.contains(words) && said.contains("--config"), "{config}: {said}");
        let (code, said) = plimsoll(&["config", "check", &path]);
        assert_eq!(code, Some(64), "{config}: {said}");
        assert!(said.contains(words), "{config}: {said}");
    }
    let policy = Mount::new(&[("policy.yaml", "default: {}"), ("config.yaml", "policy: {default: {}}")]);
    let both = ["--policy".to_owned(), policy.path("policy.yaml"), "--config".to_owned(), policy.path("config.yaml")];
    let (code, said) = Process::refuses(&both);
    assert_eq!(code, Some(64), "{said}");
    assert!(said.contains("one too many"), "{said}");
}

#[test]
fn a_config_is_shown_without_its_values() {
    let mount = mount(FILE);
    let path = mount.path("config.yaml");
    let (code, said) = plimsoll(&["config", "show", &path]);
    assert_eq!(code, Some(0), "{said}");
    let shown = format!(
        "main: kafka, apache-kafka; for shop\n  bootstrapServers: from the config file, \
         `connections.main.parameters.bootstrapServers`\n  password: from the file `{}`\n",
        mount.path("password")
    );
    assert!(said.starts_with(&shown), "{said}");
    assert!(!said.contains("hunter2"), "{said}");
    let (code, said) = plimsoll(&["config", "check", &path]);
    assert_eq!((code, said), (Some(0), format!("{path}: can be used, 1 connection\n")));
}

#[test]
fn the_schema_in_the_tree_is_the_one_that_is_printed() {
    let (code, said) = plimsoll(&["config", "schema"]);
    assert_eq!(code, Some(0));
    let kept = fs::read_to_string("deploy/config.schema.json").unwrap();
    assert!(said == kept, "run `cargo run -- config schema > deploy/config.schema.json`");
}

#[test]
fn the_file_in_the_page_is_followed() {
    let page = fs::read_to_string("docs/config.md").unwrap();
    let example = page.split("```yaml\n").nth(1).unwrap().split("```").next().unwrap();
    let mut mount = Mount::new(&[("config.yaml", ""), ("password", "x"), ("ca.crt", "x")]);
    let example = example.replace("/etc/plimsoll/kafka/password", &mount.path("password"));
    let example =
        example.replace("/etc/plimsoll/kafka/ca.crt", &mount.path("ca.crt")).replace("REDIS_PASSWORD", "PATH");
    mount.swap(&[("config.yaml", &example), ("password", "x"), ("ca.crt", "x")]);
    let (code, said) = plimsoll(&["config", "check", &mount.path("config.yaml")]);
    assert_eq!(code, Some(0), "{said}");
}

#[test]
fn limits_come_from_the_file_unless_an_option_says_otherwise() {
    let mount = Mount::new(&[("config.yaml", "limits: {triggers: 7, connections: 9}")]);
    let server = Process::start(&["--config", &mount.path("config.yaml"), "--max-connections", "5"]);
    let series = server.page("/metrics");
    for line in ["plimsoll_limit_most{limit=\"triggers\"} 7", "plimsoll_limit_most{limit=\"connections\"} 5"] {
        assert!(series.contains(line), "{series}");
    }
}
