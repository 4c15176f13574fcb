//! The commands that people type: how long they let one wait.

use std::{
    fmt::Write as _,
    fs,
    process::{Command, Stdio},
    time::Instant,
};

use crate::report::{Must, Report, median};

const OBJECTS: usize = 1_000;
/// Of each backend, the keys of a trigger.
const TRIGGERS: [(&str, &str); 5] = [
    ("kafka", "bootstrapServers: \"kafka:9092\", consumerGroup: gN, topic: tN"),
    ("rabbitmq", "host: \"http://rabbit:15672/\", queueName: qN, mode: QueueLength, value: \"20\""),
    ("aws-sqs-queue", "queueURL: qN, awsRegion: eu-west-1"),
    ("redis", "address: \"redis:6379\", listName: lN"),
    ("prometheus", "serverAddress: \"http://prometheus:9090\", query: \"up{job='wN'}\", threshold: \"1\""),
];

/// `plimsoll check` of many objects, half of them with triggers of ours, each with its TriggerAuthentication.
pub fn checks(report: &mut Report) {
    let mut text = String::new();
    for n in 0..OBJECTS {
        let (kind, keys) = TRIGGERS[n % TRIGGERS.len()];
        let keys = keys.replace('N', &n.to_string());
        let trigger = match n % 2 {
            0 => format!("type: {kind}, metadata: {{{keys}}}"),
            _ => format!(
                "type: external-push, metadata: {{scalerAddress: \"plimsoll.keda.svc:6000\", scalerType: {kind}, {keys}}}"
            ),
        };
        let head = "apiVersion: keda.sh/v1alpha1\nkind:";
        let meta = format!("metadata: {{name: w{n}, namespace: n{}}}\nspec:", n % 40);
        write!(
            text,
            "{head} ScaledObject\n{meta}\n  scaleTargetRef: {{name: w{n}}}\n  maxReplicaCount: 9\n  triggers:\n  - {{{trigger}, authenticationRef: {{name: w{n}}}}}\n---\n\
             {head} TriggerAuthentication\n{meta} {{secretTargetRef: [{{parameter: username, name: s, key: u}}]}}\n---\n"
        )
        .expect("a text takes all");
    }
    let file = std::env::temp_dir().join(format!("plimsoll-bench-check-{}.yaml", std::process::id()));
    fs::write(&file, text).expect("written");
    let mut times: Vec<f64> = (0..10)
        .map(|_| {
            let begin = Instant::now();
            let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
            let ended = command.arg("check").arg(&file).stdout(Stdio::null()).status().expect("the binary is built");
            assert!(matches!(ended.code(), Some(0 | 1)), "{ended}");
            begin.elapsed().as_secs_f64() * 1e3
        })
        .collect();
    fs::remove_file(&file).ok();
    report.add(format!("`check` of {OBJECTS} ScaledObjects, median"), median(&mut times), "ms", Must::AtMost(1000.0));
}

/// `plimsoll top` at a server of many triggers: all of them, once.
pub fn tops(report: &mut Report, admin: &str, triggers: usize) {
    let begin = Instant::now();
    let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
    let told = command.args(["top", "--once", "--server", admin]).output().expect("the binary is built");
    assert_eq!(String::from_utf8_lossy(&told.stdout).lines().count(), triggers + 1);
    let took = begin.elapsed().as_secs_f64();
    report.add(format!("`top --once` of {triggers} triggers"), took, "s", Must::Nothing);
}
