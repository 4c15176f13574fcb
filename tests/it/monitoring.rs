//! Alerts, runbooks and the dashboard, held against the series that there are and against each other.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use serde_json::Value;
use yaml_rust2::{Yaml, YamlLoader};

const RULES: &str = "deploy/monitoring/rules.yaml";
const DASHBOARD: &str = "deploy/chart/plimsoll/files/dashboards/overview.json";

fn yaml(path: &str) -> Yaml {
    YamlLoader::load_from_str(&fs::read_to_string(path).unwrap()).unwrap().remove(0)
}

/// Each alert's name and rule.
fn alerts() -> BTreeMap<String, Yaml> {
    let groups = yaml(RULES)["groups"].as_vec().unwrap().clone();
    let rules = groups.iter().flat_map(|group| group["rules"].as_vec().unwrap().clone());
    rules.map(|rule| (rule["alert"].as_str().unwrap().to_owned(), rule)).collect()
}

/// The series that a query names, without what a histogram puts behind its name.
fn named(query: &str) -> BTreeSet<String> {
    let words = query.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    let series = words.filter(|word| word.starts_with("plimsoll_") || word.starts_with("grpc_server_"));
    let whole = |word: &str| {
        let histogram = ["_bucket", "_sum", "_count"].iter().find_map(|end| word.strip_suffix(end));
        histogram.unwrap_or(word).to_owned()
    };
    series.map(whole).collect()
}

/// The first columns of the tables in docs/metrics.md, which another test holds against what is exported.
fn documented() -> BTreeSet<String> {
    let page = fs::read_to_string("docs/metrics.md").unwrap();
    let rows = page.lines().filter_map(|line| line.strip_prefix("| `")?.split_once('`'));
    rows.map(|(name, _)| name.to_owned()).filter(|name| !name.starts_with("keda_")).collect()
}

fn panels() -> Vec<Value> {
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(DASHBOARD).unwrap()).unwrap();
    dashboard["panels"].as_array().unwrap().clone()
}

fn queries(panel: &Value) -> Vec<String> {
    let targets = panel["targets"].as_array().into_iter().flatten();
    targets.map(|target| target["expr"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn alerts_and_panels_ask_for_series_that_there_are() {
    let known = documented();
    assert!(known.len() > 30);
    for (alert, rule) in alerts() {
        let series = named(rule["expr"].as_str().unwrap());
        assert!(!series.is_empty() && series.is_subset(&known), "{alert}: {series:?}");
    }
    for panel in panels() {
        for query in queries(&panel) {
            let series = named(&query);
            assert!(!series.is_empty() && series.is_subset(&known), "{}: {series:?}", panel["title"]);
        }
    }
}

#[test]
fn every_series_is_on_the_dashboard() {
    let shown: BTreeSet<String> = panels().iter().flat_map(queries).flat_map(|query| named(&query)).collect();
    let missing: Vec<_> = documented().difference(&shown).cloned().collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn every_alert_has_a_severity_a_summary_a_page_and_both_its_tests() {
    let tests = fs::read_to_string("deploy/monitoring/rules_test.yaml").unwrap();
    let index = fs::read_to_string("docs/runbooks/README.md").unwrap();
    let alerts = alerts();
    for (alert, rule) in &alerts {
        assert!(["critical", "warning", "info"].contains(&rule["labels"]["severity"].as_str().unwrap()), "{alert}");
        for annotation in ["summary", "description"] {
            assert!(rule["annotations"][annotation].as_str().is_some_and(|text| !text.is_empty()), "{alert}");
        }
        let page = rule["annotations"]["runbook_url"].as_str().unwrap();
        assert_eq!(page, format!("docs/runbooks/{alert}.md"));
        let page = fs::read_to_string(page).unwrap_or_else(|_| panic!("{alert} has no page"));
        for part in [&format!("# {alert}\n"), "**Meanwhile.**", "## Look", "## Cure"] {
            assert!(page.contains(part), "{alert}: {part}");
        }
        assert!(index.contains(&format!("[{alert}]({alert}.md)")), "{alert} is not in the index");
        for case in ["fires", "is quiet"] {
            assert!(tests.contains(&format!("- name: {alert} {case}\n")), "{alert} {case}");
        }
    }
    for entry in fs::read_dir("docs/runbooks").unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let alert = name.trim_end_matches(".md");
        assert!(alert == "README" || alerts.contains_key(alert), "{name} is the page of no alert");
    }
}

#[test]
fn the_dashboard_is_one_that_grafana_takes() {
    let dashboard: Value = serde_json::from_str(&fs::read_to_string(DASHBOARD).unwrap()).unwrap();
    assert!(dashboard["schemaVersion"].as_u64().is_some_and(|version| version >= 36));
    assert!(dashboard["uid"].as_str().is_some_and(|uid| uid.len() <= 40));
    let variables: Vec<&str> =
        dashboard["templating"]["list"].as_array().unwrap().iter().map(|one| one["name"].as_str().unwrap()).collect();
    let (mut ids, mut taken) = (BTreeSet::new(), BTreeSet::new());
    for panel in panels() {
        let title = panel["title"].as_str().unwrap().to_owned();
        assert!(ids.insert(panel["id"].as_u64().unwrap()), "{title}: its id is another's");
        let place = |side: &str| panel["gridPos"][side].as_u64().unwrap();
        assert!(place("x") + place("w") <= 24, "{title} is beyond the edge");
        for x in place("x")..place("x") + place("w") {
            for y in place("y")..place("y") + place("h") {
                assert!(taken.insert((x, y)), "{title} lies over another panel");
            }
        }
        if panel["type"] == "row" {
            continue;
        }
        assert!(["timeseries", "stat", "table"].contains(&panel["type"].as_str().unwrap()), "{title}");
        assert_eq!(panel["datasource"]["uid"], "${datasource}", "{title}");
        let mut letters = BTreeSet::new();
        for target in panel["targets"].as_array().unwrap() {
            assert!(letters.insert(target["refId"].as_str().unwrap().to_owned()), "{title}: two queries of one letter");
            let query = target["expr"].as_str().unwrap();
            for tail in query.split('$').skip(1) {
                let name = tail.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap();
                assert!(name == "__rate_interval" || variables.contains(&name), "{title}: ${name} is no variable");
            }
        }
        assert!(!letters.is_empty(), "{title} asks nothing");
    }
    assert!(ids.len() > 25);
}

/// `make manifests` puts it there; here it is seen without Go.
#[test]
fn the_chart_has_the_rules_as_they_are() {
    let ours = fs::read_to_string(RULES).unwrap();
    assert_eq!(fs::read_to_string("deploy/chart/plimsoll/files/rules.yaml").unwrap(), ours, "make manifests");
}
