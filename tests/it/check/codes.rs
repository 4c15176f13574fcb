//! Each code: a text in which it is found, alone, and where.

use std::collections::BTreeSet;

use plimsoll::check::rules;

use super::{REDIS, codes, found, object, report};

/// Findings of a look at a broker, which the tests with real brokers show.
const LIVE: [&str; 3] = ["PL501", "PL502", "PL503"];

fn builtin(kind: &str, metadata: &str) -> String {
    object("", &format!("  - type: {kind}\n    metadata: {{{metadata}}}\n"))
}

fn ours(scaler_type: &str, metadata: &str) -> String {
    object(
        "",
        &format!(
            "  - type: external-push\n    metadata: {{scalerAddress: \"plimsoll.keda.svc:6000\", scalerType: {scaler_type}, {metadata}}}\n"
        ),
    )
}

const KAFKA: &str = "bootstrapServers: \"k:9092\", consumerGroup: g, topic: t";
const DEPLOYMENT: &str = "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: a, namespace: shop}\nspec: {template: {spec: {terminationGracePeriodSeconds: GRACE, containers: [{name: c, env: [{name: THERE, value: t}]}]}}}\n";
const AUTHENTICATION: &str = "---\napiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: login, namespace: shop}\nspec: {secretTargetRef: [{parameter: PARAMETER, name: s, key: k}]}\n";

/// From the first failure on KEDA has a number.
const AT_ONCE: &str = "fallback: {failureThreshold: 0, replicas: 1, behavior: currentReplicas}";

fn builtin_kafka() -> String {
    format!("  - type: kafka\n    metadata: {{{KAFKA}}}\n")
}

fn with_reference(reference: &str) -> String {
    object("", &format!("{REDIS}    authenticationRef: {reference}\n"))
}

fn job(more: &str, triggers: &str) -> String {
    format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledJob\nmetadata: {{name: a}}\nspec:\n  jobTargetRef: {{template: {{spec: {{containers: []}}}}}}\n  maxReplicaCount: 5\n{more}  triggers:\n{triggers}"
    )
}

/// For each code: texts in which it and nothing else is found, and a word of what is said.
pub fn samples() -> Vec<(&'static str, String, &'static str)> {
    let deployment = |grace: &str| DEPLOYMENT.replace("GRACE", grace);
    let login = |parameter: &str| AUTHENTICATION.replace("PARAMETER", parameter);
    let two = |one: &str, two: &str| format!("{one}---\n{two}");
    let second = |text: String| text.replace("{name: a, namespace: shop}", "{name: b, namespace: shop}");
    vec![
        ("PL001", "a: [\n".to_owned(), "cannot be read"),
        ("PL001", "a: *nobody\n".to_owned(), "cannot be read"),
        ("PL001", "a: &x [*x]\n".to_owned(), "alias"),
        ("PL002", "a:\n{{- if .x }}\n  b: c\n{{- end }}\n".to_owned(), "template"),
        ("PL002", ours("kafka", &KAFKA.replace("topic: t", "topic: \"{{ .Values.topic }}\"")), "template"),
        ("PL003", ours("kafka", &format!("{KAFKA}, topic: u")), "`topic` stands twice"),
        ("PL004", ours("kafka", &format!("{KAFKA}, lagThreshold: 50")), "`lagThreshold` is a number"),
        ("PL004", ours("kafka", &format!("{KAFKA}, tls: disable, allowIdleConsumers: yes")).replace("yes", "true"), "a truth value"),
        ("PL004", object("  cooldownPeriod: \"300\"\n", REDIS), "`spec.cooldownPeriod` must be a whole number"),
        ("PL005", object("  pollingInterva: 30\n", REDIS), "did you mean `pollingInterval`?"),
        ("PL005", object("", &REDIS.replace("    metadata", "    metricName: x\n    metadata")), "`metricName`"),
        ("PL006", object("", REDIS).replace("  scaleTargetRef: {name: a}\n", ""), "no `scaleTargetRef`"),
        ("PL006", object("", "    []\n"), "no trigger"),
        ("PL006", job("", REDIS).replace("external-push", "external").replace("  jobTargetRef: {template: {spec: {containers: []}}}\n", ""), "no `jobTargetRef`"),
        ("PL007", object("", REDIS).replace("kind: ScaledObject", "kind: ScaledObjct"), "did you mean `ScaledObject`?"),
        ("PL007", object("  fallback: {failureThreshold: 3, replicas: 1, behavior: statik}\n", REDIS), "did you mean `static`?"),
        ("PL007", object("", REDIS).replace("v1alpha1", "v1beta1"), "no version"),
        ("PL008", object("", REDIS).replace("keda.sh", "keda.k8s.io"), "KEDA 1"),
        ("PL009", format!("# plimsoll: ignore PL999\n{}", object("", REDIS)), "PL999"),
        ("PL010", two(&object("", REDIS), &object("", REDIS)), "stands at"),
        ("PL101", ours("kafka", &format!("{KAFKA}, lagThreshold: ten")), "`lagThreshold` must be a whole number"),
        ("PL101", builtin("kafka", &format!("{KAFKA}, offsetResetPolicy: newest")), "`offsetResetPolicy` must be one of"),
        ("PL101", builtin("redis", "address: \"r:6379\", listName: l, enableTLS: maybe"), "`enableTLS` must be `true` or `false`"),
        ("PL102", ours("kafka", "bootstrapServers: \"k:9092\", topic: t"), "`consumerGroup` is required"),
        ("PL102", builtin("cron", "timezone: UTC, start: 0 8 * * *, end: 0 9 * * *"), "`desiredReplicas` is required"),
        ("PL103", ours("kafka", &format!("{KAFKA}, lagTreshold: \"5\"")), "did you mean `lagThreshold`?"),
        ("PL103", builtin("kafka", &format!("{KAFKA}, enableTLS: \"true\"")), "no key `enableTLS`"),
        ("PL103", builtin("cron", "timezone: UTC, start: 0 8 * * *, end: 0 9 * * *, desiredReplicas: \"1\", tmezone: UTC"), "did you mean `timezone`?"),
        ("PL104", ours("redis-streams", "address: \"r:6379\", stream: s, lagCount: \"5\""), "`lagCount`"),
        ("PL105", ours("kafca", KAFKA), "did you mean `kafka`?"),
        ("PL106", builtin("kafk", KAFKA), "did you mean `kafka`?"),
        ("PL107", builtin("kafka", &format!("{KAFKA}, metricName: m")), "since 2.12"),
        ("PL107", ours("kafka", &format!("{KAFKA}, metricName: m")), "since 2.12"),
        ("PL108", builtin("kafka", &format!("{KAFKA}, scopes: a")), "KEDA does not read `scopes`"),
        ("PL109", builtin("kafka", &format!("{KAFKA}, pollingInterval: \"15\"")), "KEDA does not know `pollingInterval`"),
        ("PL110", ours("kafka", &KAFKA.replace("topic: t", "topicFromEnv: NOT_THERE")) + &deployment("30"), "no variable `NOT_THERE`"),
        ("PL201", object("", REDIS).replace("  maxReplicaCount: 10\n", ""), "goes up to 100"),
        ("PL202", object("  minReplicaCount: 20\n", REDIS), "above the most replicas, 10"),
        ("PL203", object("  idleReplicaCount: 0\n", REDIS), "not below"),
        ("PL204", object("  idleReplicaCount: 1\n  minReplicaCount: 2\n", REDIS), "only 0 works"),
        ("PL205", object("", REDIS).replace("  fallback: {failureThreshold: 3, replicas: 1}\n", ""), "no `fallback`"),
        ("PL206", object("  fallback: {failureThreshold: 3, replicas: 1, behavior: scalingModifiers}\n", REDIS), "needs a `formula`"),
        ("PL206", object("  fallback: {failureThreshold: 3, replicas: 50}\n", REDIS), "more than the most replicas"),
        ("PL207", object("", &(REDIS.replace("    metadata", "    name: twin\n    metadata") + &REDIS.replace("    metadata", "    name: twin\n    metadata").replace("stream: s", "stream: t"))), "the name `twin` too"),
        ("PL208", two(&object("", REDIS), &second(object("", REDIS))), "KEDA refuses the second"),
        ("PL208", two(&object("", REDIS), "apiVersion: autoscaling/v2\nkind: HorizontalPodAutoscaler\nmetadata: {name: h, namespace: shop}\nspec: {scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: a}}\n"), "HorizontalPodAutoscaler shop/h"),
        ("PL209", two(&object("  advanced: {horizontalPodAutoscalerConfig: {name: h}}\n", REDIS), &second(object("  advanced: {horizontalPodAutoscalerConfig: {name: h}}\n", REDIS)).replace("scaleTargetRef: {name: a}", "scaleTargetRef: {name: b}")), "the HPA `h` too"),
        ("PL210", object("  fallback:\n", "  - {type: cpu, metricType: Utilization, metadata: {value: \"60\"}}\n").replace("  fallback:\n", ""), "cannot leave zero"),
        ("PL211", object("", REDIS).replace("{name: a, namespace", &format!("{{name: {}, namespace", "a".repeat(60))), "63 are the most"),
        ("PL212", object("  minReplicaCount: 1\n  pollingInterval: 30\n", REDIS), "the HPA alone asks"),
        ("PL213", object("  pollingInterval: 1\n", "  - type: kafka\n    metadata: {bootstrapServers: \"k:9092\", consumerGroup: g, topic: t}\n"), "anew for each object"),
        ("PL213", ours("aws-sqs-queue", "queueURL: q, awsRegion: eu-west-1, identityOwner: operator, pollingInterval: 100ms"), "864000 of them a day"),
        ("PL214", object("  pollingInterval: 60\n", REDIS), "every 5 s all the same"),
        ("PL214", object("  pollingInterval: 2\n", REDIS), "is not sent"),
        ("PL215", object("  minReplicaCount: 1\n  cooldownPeriod: 300\n", REDIS), "no effect"),
        ("PL216", object(&format!("  cooldownPeriod: 30\n  {AT_ONCE}\n"), REDIS) + &deployment("60"), "shorter than the 60 s"),
        ("PL216", object(&format!("  cooldownPeriod: 30\n  {AT_ONCE}\n"), &REDIS.replace("redis-streams", "redis").replace("stream: s", "listName: l")), "no longer in the list"),
        ("PL217", object("  cooldownPeriod: 900\n", REDIS), "the last replica alone"),
        ("PL217", object("", REDIS) + &deployment("600"), "600 s to end"),
        ("PL218", object("  advanced: {scalingModifiers: {formula: a + b, target: \"5\"}}\n", &REDIS.replace("    metadata", "    name: a\n    metadata")), "names `b`"),
        ("PL218", object("  advanced: {scalingModifiers: {formula: a}}\n", &REDIS.replace("    metadata", "    name: a\n    metadata")), "no `target`"),
        ("PL219", object("  advanced: {scalingModifiers: {formula: a, target: \"5\", activationTarget: \"2\"}}\n", &REDIS.replace("    metadata", "    name: a\n    metadata")), "past `scalingModifiers.activationTarget`"),
        ("PL220", job("", REDIS), "no job for a push"),
        ("PL221", object("", &REDIS.replace("    metadata", "    useCachedMetrics: true\n    metadata")), "up to `pollingInterval` old"),
        ("PL222", object("", "  - {type: cron, useCachedMetrics: true, metadata: {timezone: UTC, start: 0 8 * * *, end: 0 9 * * *, desiredReplicas: \"1\"}}\n"), "not for `cron`"),
        ("PL223", object("", &REDIS.replace("    metadata", "    metricType: Utilization\n    metadata")), "cannot have `metricType` `Utilization`"),
        ("PL224", object("", REDIS).replace("{name: a, namespace: shop}", "{name: a, namespace: shop, annotations: {autoscaling.keda.sh/paused-replicas: \"0\"}}"), "does not scale it"),
        ("PL225", ours("aws-sqs-queue", "queueURL: q, awsRegion: eu-west-1, identityOwner: operator, scaleOnInFlight: \"false\""), "messages in flight are not counted"),
        ("PL226", object("  minReplicaCount: 1\n", "  - {type: cpu, metricType: Utilization, metadata: {value: \"60\"}}\n  - {type: cron, metadata: {timezone: UTC, start: 0 8 * * *, end: 0 9 * * *, desiredReplicas: \"1\"}}\n") + &deployment("30"), "no `resources.requests.cpu`"),
        ("PL227", object("  cooldownPeriod: 30\n", REDIS), "cannot be read"),
        ("PL227", object("  cooldownPeriod: 0\n", &builtin_kafka()), "0 s after the last activity"),
        ("PL227", object("  cooldownPeriod: 5\n  minReplicaCount: 1\n  idleReplicaCount: 0\n", REDIS), "KEDA 2.20"),
        ("PL301", ours("redis-streams", "address: \"r:6379\", stream: s, password: hunter2"), "`password` holds a secret"),
        ("PL301", ours("redis-streams", "address: \"redis://:hunter2@r:6379\", stream: s").replace("redis-streams,", "rabbitmq,").replace("address: \"redis://:hunter2@r:6379\", stream: s", "host: \"amqp://u:hunter2@r:5672/\", queueName: q"), "`host` holds a secret"),
        ("PL302", with_reference("{kind: TriggerAuthentication}"), "no `name`"),
        ("PL303", with_reference("{name: login}"), "not in the input"),
        ("PL304", with_reference("{name: logn}") + &login("password"), "did you mean `login`?"),
        ("PL305", with_reference("{name: login}") + &login("password").replace("namespace: shop", "namespace: bank"), "in namespace `bank`"),
        ("PL306", with_reference("{name: login, kind: ClusterTriggerAuthentication}") + &login("password"), "is a TriggerAuthentication"),
        ("PL307", ours("kafka", &format!("{KAFKA}, sasl: plaintext, username: u")), "`password`"),
        ("PL307", builtin("kafka", &format!("{KAFKA}, sasl: plaintext")).replace("    metadata", "    authenticationRef: {name: login}\n    metadata") + &login("username"), "does not give it"),
        ("PL308", with_reference("{name: login}") + &login("pasword"), "did you mean `password`?"),
        ("PL309", with_reference("{name: login}") + &login("password") + "---\napiVersion: v1\nkind: Secret\nmetadata: {name: s, namespace: shop}\nstringData: {other: x}\n", "no key `k`"),
        ("PL310", object("", &format!("{REDIS}    authenticationRef: {{name: login}}\n{REDIS}")) + &login("password"), "another login"),
        ("PL311", ours("redis-streams", "address: \"r:6379\", stream: s, triggerAuthentication: login, clusterTriggerAuthentication: login") + &login("password") + &login("password").replace("kind: TriggerAuthentication\nmetadata: {name: login, namespace: shop}", "kind: ClusterTriggerAuthentication\nmetadata: {name: login}"), "exclude each other"),
        ("PL312", "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: login}\nspec: {podIdentity: {provider: aws-eks}}\n".to_owned(), "deprecated"),
        ("PL313", "apiVersion: keda.sh/v1alpha1\nkind: TriggerAuthentication\nmetadata: {name: login}\nspec: {podIdentity: {provider: amazon}}\n".to_owned(), "no pod identity"),
        ("PL401", object("", &REDIS.replace(":6000", "")), "no port"),
        ("PL401", object("", &REDIS.replace("      scalerAddress: plimsoll.keda.svc:6000\n", "")), "is required"),
        ("PL401", object("", &REDIS.replace("plimsoll.keda.svc:6000", "http://plimsoll.keda.svc:6000")), "is a URL"),
        ("PL402", object("", REDIS) + "---\napiVersion: v1\nkind: Service\nmetadata: {name: plimsoll, namespace: keda}\nspec: {ports: [{port: 6000}]}\n", "an IP of its own"),
        ("PL403", object("", &format!("{REDIS}      enableTLS: \"true\"\n")), "KEDA's channel"),
        ("PL403", object("", &format!("{REDIS}      unsafeSsl: \"true\"\n")), "KEDA's channel"),
        ("PL404", object("", &format!("{REDIS}      enableTLS: \"maybe\"\n")), "must be `true` or `false`"),
        ("PL405", object("", &format!("{REDIS}      caCert: x\n")), "`authenticationRef` only"),
    ]
}

#[test]
fn each_code_is_found_alone_and_says_what_it_means() {
    let mut seen = BTreeSet::new();
    let mut wrong = Vec::new();
    for (code, text, word) in samples() {
        seen.insert(code);
        let findings = found(&text);
        let said: Vec<String> = findings
            .iter()
            .map(|finding| format!("{} {}:{} {}", finding.rule.code, finding.file, finding.at, finding.what))
            .collect();
        let right = findings.iter().all(|finding| finding.rule.code == code && !finding.cure.is_empty())
            && findings.iter().any(|finding| finding.what.contains(word));
        if !right {
            wrong.push(format!("{code} {word:?}: {said:#?}\n{text}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    let all: BTreeSet<_> = rules::ALL.iter().map(|rule| rule.code).filter(|code| !LIVE.contains(code)).collect();
    assert_eq!(seen, all);
}

#[test]
fn what_is_right_is_left_alone() {
    assert_eq!(codes(&object("", REDIS)), Vec::<&str>::new());
    assert_eq!(codes(&builtin("kafka", KAFKA)), Vec::<&str>::new());
    assert_eq!(codes(&job("", &REDIS.replace("external-push", "external"))), Vec::<&str>::new());
    // A key that the reference gives is not missing, whatever its value is.
    let sasl = builtin("kafka", &format!("{KAFKA}, sasl: plaintext"))
        .replace("    metadata", "    authenticationRef: {name: login}\n    metadata");
    let login = AUTHENTICATION.replace(
        "[{parameter: PARAMETER, name: s, key: k}]",
        "[{parameter: username, name: s, key: u}, {parameter: password, name: s, key: p}]",
    );
    assert_eq!(codes(&(sasl + &login)), Vec::<&str>::new());
    // What a reference gives is not known here, and no reason to warn: the certificates may well be of use.
    let tls = AUTHENTICATION.replace(
        "[{parameter: PARAMETER, name: s, key: k}]",
        "[{parameter: tls, name: s, key: t}, {parameter: ca, name: s, key: c}]",
    );
    for keys in ["address: \"r:6379\", listName: l", "address: \"r:6379\", listName: l, skipTlsVerify: \"true\""] {
        let redis = ours("redis", keys).replace("    metadata", "    authenticationRef: {name: login}\n    metadata");
        assert_eq!(codes(&(redis + &tls)), Vec::<&str>::new(), "{keys}");
    }
    // A host that is not in the input may be of either protocol.
    let host = AUTHENTICATION.replace("PARAMETER", "host");
    for keys in ["useRegex: \"true\", protocol: http", "mode: MessageRate, value: \"5\"", "queueLength: \"5\""] {
        let rabbit = builtin("rabbitmq", &format!("queueName: q, {keys}"))
            .replace("    metadata", "    authenticationRef: {name: login}\n    metadata");
        assert_eq!(codes(&(rabbit + &host)), Vec::<&str>::new(), "{keys}");
    }
    // Another's external scaler is another's.
    let other = object("", "  - {type: external, metadata: {scalerAddress: \"other.svc:9090\", anything: goes}}\n");
    assert_eq!(codes(&other), Vec::<&str>::new());
    // With its CA given, `enableTLS` is meant for KEDA's channel.
    let tls = object("", &format!("{REDIS}      enableTLS: \"true\"\n    authenticationRef: {{name: login}}\n"))
        + &AUTHENTICATION.replace("PARAMETER", "caCert");
    assert_eq!(codes(&tls), Vec::<&str>::new());
}

#[test]
fn kedas_race_in_an_outage_is_told_where_it_can_come_to_pass_alone() {
    for (more, trigger) in [
        ("", REDIS.to_owned()),
        ("  cooldownPeriod: 60\n", REDIS.to_owned()),
        (
            "  cooldownPeriod: 30\n  fallback: {failureThreshold: 0, replicas: 1, behavior: currentReplicas}\n",
            REDIS.to_owned(),
        ),
        ("  cooldownPeriod: 30\n", format!("{REDIS}      maxStaleness: 2m\n")),
        (
            "  cooldownPeriod: 30\n",
            "  - {type: cron, metadata: {timezone: UTC, start: 0 8 * * *, end: 0 9 * * *, desiredReplicas: \"1\"}}\n"
                .to_owned(),
        ),
    ] {
        assert_eq!(codes(&object(more, &trigger)), Vec::<&str>::new(), "{more} {trigger}");
    }
    // One that may fail is enough; a minimum of one is what closes it.
    let both = format!("{REDIS}      maxStaleness: 2m\n{}", REDIS.replace("stream: s", "stream: t"));
    assert_eq!(codes(&object("  cooldownPeriod: 30\n", &both)), ["PL227"]);
    assert_eq!(codes(&object("  cooldownPeriod: 30\n  minReplicaCount: 1\n", REDIS)), ["PL215"]);
}

#[test]
fn a_finding_stands_where_it_is_to_be_mended() {
    let place = |text: &str| {
        let finding = &found(text)[0];
        let line = text.lines().nth(finding.at.line - 1).unwrap();
        line.chars().skip(finding.at.column - 1).collect::<String>()
    };
    let lag = REDIS.replace("stream: s", "stream: s\n      lagCount: ten\n      consumerGroup: g");
    assert_eq!(place(&object("", &lag)), "ten");
    assert_eq!(place(&object("  idleReplicaCount: 0\n", REDIS)), "0");
    assert_eq!(place(&object("", &REDIS.replace("stream: s", "stream: s\n      strem: s"))), "strem: s");
    assert!(place(&object("", REDIS).replace("  maxReplicaCount: 10\n", "")).starts_with("spec:"));
    let labelled = &found(&object("  idleReplicaCount: 0\n", REDIS))[0];
    assert_eq!(labelled.belongs_to(), "ScaledObject shop/a");
    let trigger = &found(&object("", &REDIS.replace(":6000", "")))[0];
    assert_eq!(trigger.belongs_to(), "ScaledObject shop/a, trigger 1 (external-push, redis-streams)");
}

#[test]
fn no_secret_is_shown() {
    let url = ours("rabbitmq", "host: \"amqp://user:hunter2@rabbit\", queueName: q, value: hunter2, mode: hunter2");
    for finding in found(&url) {
        assert!(!format!("{finding:?}").contains("hunter2"), "{finding:?}");
    }
}

#[test]
fn what_keda_1_called_otherwise_is_said_once() {
    let text = object("", REDIS).replace("scaleTargetRef: {name: a}", "scaleTargetRef: {deploymentName: a}");
    assert_eq!(codes(&text), ["PL006", "PL008"]);
}

#[test]
fn inputs_are_looked_at_together() {
    let login = AUTHENTICATION.replace("PARAMETER", "password");
    let report = report(&[&with_reference("{name: login}"), login.trim_start_matches("---\n")]);
    assert_eq!(report.findings.len(), 0, "{:?}", report.findings);
    assert_eq!((report.seen.files, report.seen.keda, report.seen.triggers), (2, 2, 1));
}

#[test]
fn a_comment_ignores_what_begins_below_it_or_beside_it() {
    let text = object("", REDIS).replace("  maxReplicaCount: 10\n", "");
    assert_eq!(codes(&text), ["PL201"]);
    for (from, to) in [
        ("apiVersion", "# plimsoll: ignore PL201 - the nodes bound it\napiVersion"),
        ("spec:", "# plimsoll: ignore PL205,PL201\nspec:"),
        ("spec:", "spec:  # plimsoll: ignore pl201"),
    ] {
        assert_eq!(codes(&text.replacen(from, to, 1)), Vec::<&str>::new(), "{to}");
    }
    for (from, to) in
        [("  triggers", "  # plimsoll: ignore PL201\n  triggers"), ("spec:", "spec:  # plimsoll: ignore PL205")]
    {
        assert_eq!(codes(&text.replacen(from, to, 1)), ["PL201"], "{to}");
    }
    let both = object(
        "",
        &format!("{}{}", REDIS.replace(":6000", ""), REDIS.replace(":6000", "").replace("stream: s", "stream: t")),
    );
    let one = both.replacen("  - type", "  # plimsoll: ignore PL401\n  - type", 1);
    assert_eq!((codes(&both), codes(&one)), (vec!["PL401", "PL401"], vec!["PL401"]));
}
