//! `plimsoll check --live` on a real cluster: the number, its parts, and what only a look shows.

use plimsoll::{
    backend::Registry,
    check::{
        self, Options,
        live::{self, Looked},
    },
    manifest::Source,
};

use super::fixtures::{Cluster, address, unique};

/// What one look at a group shows, and the codes of what is found.
async fn look(group: &str, topic: &str, most: u32, more: &str) -> (Looked, Vec<&'static str>) {
    let servers = address("PLIMSOLL_TEST_KAFKA");
    let text = format!(
        "apiVersion: keda.sh/v1alpha1\nkind: ScaledObject\nmetadata: {{name: a}}\nspec:\n  scaleTargetRef: {{name: a}}\n  \
         maxReplicaCount: {most}\n  fallback: {{failureThreshold: 3, replicas: 1}}\n  triggers:\n  - type: kafka\n    metadata:\n      \
         bootstrapServers: \"{servers}\"\n      consumerGroup: {group}\n      topic: {topic}\n      lagThreshold: \"4\"\n{more}"
    );
    let sources = [Source { name: "a.yaml".to_owned(), text }];
    let manifests = check::read(&sources);
    let options = Options::new(Registry::standard());
    let (mut report, readable) = check::check_read(&options, &manifests);
    assert!(report.findings.is_empty(), "{:?}", report.findings);
    let (looked, findings) = live::look(&readable[0]).await;
    report.findings.extend(findings);
    check::settle(&options, &manifests, &mut report);
    (looked, report.findings.iter().map(|finding| finding.rule.code).collect())
}

#[tokio::test]
async fn a_look_of_the_check_says_value_parts_and_replicas() {
    let cluster = Cluster::new(address("PLIMSOLL_TEST_KAFKA"));
    let (topic, group) = (unique("checked"), unique("checked"));
    cluster.create(&topic, 3).await;
    cluster.produce(&topic, 0, 15).await;

    let (looked, codes) = look(&group, &topic, 10, "").await;
    assert_eq!(codes, ["PL502", "PL503"], "ten replicas for three partitions, and nobody has committed: {looked:?}");
    assert_eq!((looked.value, looked.replicas), (Some(3.0), Some(1)));

    cluster.commit(&group, &[(&topic, 0, 5)]).await;
    let (looked, codes) = look(&group, &topic, 3, "").await;
    assert_eq!(codes, Vec::<&str>::new(), "{looked:?}");
    // 10 behind, and 1 for each partition without a commit.
    assert_eq!((looked.value, looked.target, looked.replicas), (Some(12.0), Some(4.0), Some(3)));
    let parts = looked.parts.expect("Kafka says what a lag is made of");
    assert_eq!((parts.rows.len(), parts.omitted), (3, 0));

    let (_, codes) = look(&group, &topic, 10, "      allowIdleConsumers: \"true\"\n").await;
    assert_eq!(codes, Vec::<&str>::new(), "more than partitions is meant");

    let (looked, codes) = look(&group, &unique("nowhere"), 3, "").await;
    assert_eq!((codes, looked.kind), (vec!["PL501"], Some("not_found")));
}
