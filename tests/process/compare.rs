//! `plimsoll compare` of files: no cluster, a stand-in for the source and one for the series of KEDA's operator, which are as KEDA 2.21
//! writes them.

use std::{
    fmt::Write as _,
    fs,
    path::PathBuf,
    sync::atomic::{AtomicU64, Ordering},
};

use serde_json::Value;

use crate::{
    shop::{Told, run},
    stand_in::{Reply, StandIn},
};

/// Files of a test, gone with it.
struct Files(PathBuf);

impl Files {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("plimsoll-compare-{name}-{}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// A Prometheus to which each query is the number that it should give; `denied` it does not answer.
async fn source() -> StandIn {
    StandIn::new(|call| {
        let value = call.target.split("query=").nth(1).and_then(|rest| rest.split('&').next()).unwrap_or_default();
        match value {
            "denied" => Reply::new(403, "no"),
            value => Reply::new(
                200,
                format!(
                    r#"{{"status":"success","data":{{"resultType":"vector","result":[{{"metric":{{}},"value":[1,"{value}"]}}]}}}}"#
                ),
            ),
        }
    })
    .await
}

/// One series of KEDA's for each object: its name, the metric, the value.
fn series(of: &[(&str, &str, &str, f64)], errors: u64) -> String {
    let mut text = String::from("# TYPE keda_scaler_metrics_value gauge\n");
    for (kind, name, metric, value) in of {
        let labels = format!(
            "{{metric=\"{metric}\",namespace=\"shop\",scaledObject=\"{name}\",scaler=\"prometheusScaler\",triggerIndex=\"0\",type=\"{kind}\"}}"
        );
        writeln!(text, "keda_scaler_metrics_value{labels} {value}").unwrap();
        if *name == "stumbling" {
            writeln!(text, "keda_scaler_detail_errors_total{labels} {errors}").unwrap();
        }
    }
    text
}

/// An object with a built-in trigger whose value is `query`.
fn object(name: &str, url: &str, query: &str) -> String {
    let spec = "spec:\n  scaleTargetRef: {name: w}\n  pollingInterval: 1\n  maxReplicaCount: 5\n  triggers:\n";
    let metadata = format!("{{serverAddress: \"{url}\", query: \"{query}\", threshold: \"5\"}}");
    format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: {name}}}\n{spec}  - type: prometheus\n    metadata: {metadata}\n"
    )
}

async fn compare(file: &str, keda: &str, more: &[&str]) -> Told {
    let asked = ["compare", file, "--namespace", "shop", "--keda-metrics", keda, "--every", "1s"];
    run(&[&asked[..], more].concat()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn files_that_agree_end_with_0() {
    let source = source().await;
    let files = Files::new("agree");
    let job = object("job", &source.url(), "3")
        .replace("kind: ScaledObject", "kind: ScaledJob")
        .replace("scaleTargetRef: {name: w}", "jobTargetRef: {template: {spec: {containers: []}}}");
    let text = format!("{}---\n{job}", object("same", &source.url(), "7"));
    let file = files.write("both.yaml", &text);
    let keda = StandIn::new(|_| {
        let of = [("scaledobject", "same", "s0-prometheus", 7.0), ("scaledjob", "job", "s0-prometheus", 3.0)];
        Reply::new(200, series(&of, 0))
    })
    .await;
    let told = compare(&file, &keda.url(), &["--for", "2s"]).await;
    told.is(
        0,
        &[
            "agree    ScaledJob shop/job, trigger 0 (prometheus): KEDA 3, ours 3; same in ",
            "agree    ScaledObject shop/same, trigger 0 (prometheus): KEDA 7, ours 7; same in ",
            "2 built-in triggers: 2 agree\n",
        ],
    );
    assert!(
        told.err.contains("comparing 2 triggers for 2 s, every 1 s, with KEDA's values from its operator's series")
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn what_differs_is_told_with_its_reason_and_ends_with_1() {
    let source = source().await;
    let files = Files::new("differ");
    let all = ["same", "apart", "renamed", "stumbling", "silent"].map(|name| object(name, &source.url(), "7"));
    let denied = object("denied", &source.url(), "denied");
    let locked = object("locked", &source.url(), "7").replace("threshold", "authModes: bearer, threshold")
        + "    authenticationRef: {name: elsewhere}\n";
    let file = files.write("all.yaml", &format!("{}---\n{denied}---\n{locked}", all.join("---\n")));
    let errors = AtomicU64::new(0);
    let keda = StandIn::new(move |_| {
        let of = [
            ("scaledobject", "same", "s0-prometheus", 7.0),
            ("scaledobject", "apart", "s0-prometheus", 5.0),
            ("scaledobject", "renamed", "s0-other", 5.0),
            ("scaledobject", "stumbling", "s0-prometheus", 5.0),
            ("scaledobject", "denied", "s0-prometheus", 7.0),
            ("scaledobject", "locked", "s0-prometheus", 7.0),
        ];
        Reply::new(200, series(&of, errors.fetch_add(1, Ordering::Relaxed)))
    })
    .await;
    // Only then may a difference be more than KEDA's older look.
    let told = compare(&file, &keda.url(), &["--for", "8s", "--output", "json"]).await;
    assert_eq!(told.code, Some(1), "{told:#?}");
    let json: Value = serde_json::from_str(&told.out).unwrap();
    assert_eq!(
        (&json["result"], &json["agree"], &json["differ"], &json["failed"]),
        (&"differ".into(), &1.into(), &3.into(), &3.into()),
        "{json:#}"
    );
    let line = |name: &str| {
        let mut lines = json["triggers"].as_array().unwrap().iter();
        lines.find(|line| line["name"] == name).unwrap_or_else(|| panic!("{name} in {json:#}")).clone()
    };
    for (name, verdict, why) in [
        ("same", "agree", ""),
        (
            "apart",
            "differ",
            "both stand still: another default, or another login sees something else; docs/backends/prometheus.md",
        ),
        ("renamed", "differ", "KEDA calls its metric `s0-other` and we `s0-prometheus`"),
        ("stumbling", "differ", "reads of KEDA's failed in the meantime"),
        ("silent", "failed", "KEDA: it has no series of this trigger"),
        ("denied", "failed", "we: denied: "),
        (
            "locked",
            "failed",
            "we: `bearerToken` and `authenticationRef` are not in the input: give the objects that hold them too",
        ),
    ] {
        let line = line(name);
        let told = line["why"].as_str().unwrap();
        assert!(line["verdict"] == verdict && told.contains(why), "{line:#}");
    }
    let apart = line("apart");
    assert_eq!((&apart["keda"], &apart["ours"], &apart["apart"]), (&5.0.into(), &7.0.into(), &2.0.into()));
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_compared_is_said_at_once_and_ends_with_2() {
    let source = source().await;
    let files = Files::new("unusable");
    let keda = StandIn::new(|_| Reply::new(200, series(&[], 0))).await;
    let stranger = StandIn::new(|_| Reply::new(200, "go_goroutines 12\n")).await;
    let built_in = files.write("built-in.yaml", &object("same", &source.url(), "7"));
    let ours = object("same", &source.url(), "7")
        .replace("type: prometheus", "type: external-push")
        .replace("{serverAddress", "{scalerAddress: \"plimsoll.keda.svc:6000\", scalerType: prometheus, serverAddress");
    let ours = files.write("ours.yaml", &ours);
    let broken = files.write("broken.yaml", "a: [\n");
    let nowhere = files.0.join("nowhere.yaml").display().to_string();
    for (file, keda, words) in [
        (&ours, keda.url(), "there is no built-in trigger of a type that this server reads: "),
        (&broken, keda.url(), "a document cannot be read: `plimsoll check` says which and why"),
        (&nowhere, keda.url(), "nowhere.yaml: "),
        (&built_in, stranger.url(), "has no series of KEDA's"),
        (&built_in, "127.0.0.1:1".to_owned(), "`--keda-metrics`: "),
        (&built_in, "ftp://keda".to_owned(), "is no address"),
    ] {
        // Ten minutes are the default: nobody waits for them.
        compare(file, &keda, &[]).await.is(2, &[words]);
    }
}
