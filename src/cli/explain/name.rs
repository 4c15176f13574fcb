//! Which triggers a name means, on which replica; and where it means none or too many, which there are.
//!
//! Not for: what is said of them.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    cli::{
        exit::Unusable,
        remote::{Row, Server},
    },
    error::{did_you_mean, quoted},
};

/// Names that are told where none or too many are meant.
const TOLD: usize = 10;

/// `[NAMESPACE/]NAME[/TRIGGER]`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Name {
    text: String,
    /// What it may mean: with two parts, either may be left out.
    readings: Vec<Reading>,
}

/// Namespace, name, trigger.
type Reading = (Option<String>, String, Option<String>);

/// A trigger on a replica.
#[derive(Debug)]
pub(super) struct Found {
    /// Which replica.
    pub server: usize,
    pub row: Row,
}

impl Name {
    pub(super) fn parse(text: &str) -> Result<Self, Unusable> {
        let parts: Vec<&str> = text.trim().splitn(3, '/').collect();
        let some = |part: &str| Some(part.to_owned());
        let readings = match *parts.as_slice() {
            [name] => vec![(None, name.to_owned(), None)],
            [first, second] => vec![(some(first), second.to_owned(), None), (None, first.to_owned(), some(second))],
            [namespace, name, trigger] => vec![(some(namespace), name.to_owned(), some(trigger))],
            _ => Vec::new(),
        };
        if parts.iter().any(|part| part.is_empty()) {
            return Err(Unusable(format!("`{}` is no name, give `[NAMESPACE/]NAME[/TRIGGER]`", quoted(text))));
        }
        Ok(Self { text: quoted(text), readings })
    }
}

/// The triggers that `name` means, all of one object, each where it was asked for last.
pub(super) async fn find(servers: &[Server], name: &Name) -> Result<Vec<Found>, Unusable> {
    for (namespace, object, trigger) in &name.readings {
        let mut query = vec![("q", object.as_str())];
        if let Some(namespace) = namespace {
            query.push(("namespace", namespace));
        }
        let mut found: BTreeMap<String, Vec<Found>> = BTreeMap::new();
        for (at, server) in servers.iter().enumerate() {
            for (_, row) in server.triggers(&query).await? {
                let meant = |whole: &&String| {
                    let (of, called) = whole.split_once('/').unwrap_or(("", whole));
                    called == object && namespace.as_deref().is_none_or(|namespace| namespace == of)
                };
                for whole in row.names().iter().filter(meant) {
                    found.entry(whole.clone()).or_default().push(Found { server: at, row: row.clone() });
                }
            }
        }
        let Some((whole, mut meant)) = found.pop_first() else { continue };
        if !found.is_empty() {
            let names = std::iter::once(&whole).chain(found.keys());
            let names = list(names.map(String::as_str), found.len() + 1);
            return Err(Unusable(format!("`{}` is in several namespaces: {names}: give one of these", name.text)));
        }
        latest(&mut meant);
        return match trigger {
            None => Ok(meant),
            Some(trigger) => one_of(&whole, meant, trigger),
        };
    }
    Err(none(servers, name).await?)
}

/// Of a trigger that several replicas know, that of the one which was asked last.
fn latest(found: &mut Vec<Found>) {
    let key = |row: &Row| (row.scaler_type.clone(), row.metric.clone(), row.source.clone(), row.connection.clone());
    let asked = |found: &Found| found.row.asked_at.unwrap_or(0.0);
    found.sort_by(|one, other| key(&one.row).cmp(&key(&other.row)).then(asked(other).total_cmp(&asked(one))));
    // Twins of one replica are two triggers.
    let mut best: Option<(usize, (String, String, String, String))> = None;
    found.retain(|found| {
        let key = key(&found.row);
        match &best {
            Some((server, known)) if *known == key => *server == found.server,
            _ => {
                best = Some((found.server, key));
                true
            }
        }
    });
    found.sort_by(|one, other| index(&one.row).cmp(&index(&other.row)).then(one.row.id.cmp(&other.row.id)));
}

fn index(row: &Row) -> u64 {
    row.objects.iter().map(|object| object.trigger_index).min().unwrap_or(u64::MAX)
}

fn one_of(whole: &str, found: Vec<Found>, trigger: &str) -> Result<Vec<Found>, Unusable> {
    let labels: Vec<String> = found.iter().map(|found| label(whole, &found.row)).collect();
    let told = || labels.join(", ");
    // The surest first: a name before an index, an index before a type.
    let ways: [&dyn Fn(&Row) -> bool; 4] = [
        &|row| of(whole, row).any(|object| object.trigger_name.as_deref() == Some(trigger)),
        &|row| of(whole, row).any(|object| object.trigger_index.to_string() == trigger),
        &|row| row.metric == trigger || row.metric.strip_prefix(&format!("{}-", row.scaler_type)) == Some(trigger),
        &|row| row.scaler_type == trigger,
    ];
    for way in ways {
        let meant = found.iter().filter(|found| way(&found.row)).count();
        match meant {
            0 => {}
            1 => return Ok(found.into_iter().filter(|found| way(&found.row)).collect()),
            _ => return Err(Unusable(format!("`{whole}` has {meant} triggers `{}`: {}", quoted(trigger), told()))),
        }
    }
    let near = near(trigger, labels.iter().filter_map(|label| label.rsplit('/').next()).collect());
    let question = did_you_mean(near.first().map(|near| format!("{whole}/{near}")).as_deref());
    Err(Unusable(format!("`{whole}` has no trigger `{}`{question}: there is {}", quoted(trigger), told())))
}

fn of<'r>(whole: &'r str, row: &'r Row) -> impl Iterator<Item = &'r crate::cli::remote::Bounds> {
    row.objects
        .iter()
        .filter(move |object| whole.split_once('/') == Some((object.namespace.as_str(), object.name.as_str())))
}

/// By what a trigger of the object `whole` can be named.
pub(super) fn label(whole: &str, row: &Row) -> String {
    let trigger = of(whole, row).find_map(|object| object.trigger_name.clone());
    format!("{whole}/{}", trigger.unwrap_or_else(|| row.metric.clone()))
}

/// Why nothing is meant.
async fn none(servers: &[Server], name: &Name) -> Result<Unusable, Unusable> {
    let mut names = BTreeSet::new();
    for server in servers {
        for (_, row) in server.triggers(&[]).await? {
            names.extend(row.names().iter().cloned());
        }
    }
    let text = &name.text;
    if names.is_empty() {
        return Ok(Unusable(format!(
            "there is no trigger `{text}`, and no other: nobody has asked this server yet, see that `scalerAddress` leads to it and \
             that KEDA's operator runs"
        )));
    }
    let mut nearest: Vec<String> = near(text, names.iter().map(String::as_str).collect());
    for (_, object, _) in &name.readings {
        let called =
            |whole: &String| whole.split_once('/').is_some_and(|(_, called)| !near(object, vec![called]).is_empty());
        nearest.extend(names.iter().filter(|whole| called(whole)).cloned());
    }
    let mut told = BTreeSet::new();
    nearest.retain(|name| told.insert(name.clone()));
    let others = || list(names.iter().map(String::as_str), names.len());
    Ok(Unusable(match nearest.as_slice() {
        [] => format!("there is no trigger of `{text}` that was asked for of late: there is {}", others()),
        [one] => format!("there is no trigger of `{text}` that was asked for of late, did you mean `{one}`?"),
        many => {
            let many = list(many.iter().map(String::as_str), many.len());
            format!("there is no trigger of `{text}` that was asked for of late, did you mean one of {many}?")
        }
    }))
}

/// What is near to `word`, the nearest first.
fn near(word: &str, known: Vec<&str>) -> Vec<String> {
    let lower = word.to_lowercase();
    let most = word.chars().count().div_ceil(4).max(1);
    let mut near: Vec<(usize, &str)> = known
        .into_iter()
        .filter(|known| known.len().abs_diff(word.len()) <= 2 * most || known.contains(&lower))
        .map(|known| (strsim::damerau_levenshtein(&known.to_lowercase(), &lower), known))
        .filter(|(distance, known)| *distance <= most || word.len() >= 3 && known.to_lowercase().contains(&lower))
        .collect();
    near.sort_unstable();
    near.into_iter().take(TOLD).map(|(_, known)| known.to_owned()).collect()
}

fn list<'n>(names: impl Iterator<Item = &'n str>, count: usize) -> String {
    let mut text = names.take(TOLD).map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
    if count > TOLD {
        text.push_str(&format!(" and {} more", count - TOLD));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::remote::Bounds;

    fn row(id: u64, metric: &str, index: u64, name: Option<&str>, asked_at: f64) -> Row {
        let object = Bounds {
            namespace: "shop".into(),
            name: "orders".into(),
            trigger_index: index,
            trigger_name: name.map(str::to_owned),
            ..Bounds::default()
        };
        Row {
            id,
            metric: metric.into(),
            scaler_type: "redis".into(),
            asked_at: Some(asked_at),
            objects: vec![object],
            scaled_objects: vec!["shop/orders".into()],
            ..Row::default()
        }
    }

    fn found() -> Vec<Found> {
        let rows = [
            (0, row(1, "redis-jobs", 1, Some("jobs"), 5.0)),
            (1, row(1, "redis-jobs", 1, Some("jobs"), 9.0)),
            (0, row(2, "redis-mails", 0, None, 5.0)),
        ];
        rows.into_iter().map(|(server, row)| Found { server, row }).collect()
    }

    #[test]
    fn a_name_has_one_to_three_parts() {
        assert_eq!(Name::parse("orders").unwrap().readings, [(None, "orders".into(), None)]);
        assert_eq!(Name::parse("shop/orders").unwrap().readings.len(), 2);
        let whole = Name::parse("shop/orders/kafka-a/b").unwrap().readings;
        assert_eq!(whole, [(Some("shop".into()), "orders".into(), Some("kafka-a/b".into()))]);
        for text in ["", "/", "a/", "/a", "a//b"] {
            assert!(Name::parse(text).unwrap_err().0.contains("[NAMESPACE/]NAME[/TRIGGER]"), "{text}");
        }
    }

    #[test]
    fn of_replicas_the_one_that_was_asked_last_tells_and_triggers_are_in_their_objects_order() {
        let mut all = found();
        latest(&mut all);
        let told: Vec<(usize, &str)> = all.iter().map(|found| (found.server, found.row.metric.as_str())).collect();
        assert_eq!(told, [(0, "redis-mails"), (1, "redis-jobs")]);
    }

    #[test]
    fn a_trigger_goes_by_its_name_its_index_its_metric_or_its_type() {
        let one = |trigger: &str| {
            let mut all = found();
            latest(&mut all);
            one_of("shop/orders", all, trigger).map(|found| found[0].row.metric.clone()).map_err(|error| error.0)
        };
        for (trigger, metric) in
            [("jobs", "redis-jobs"), ("0", "redis-mails"), ("1", "redis-jobs"), ("mails", "redis-mails")]
        {
            assert_eq!(one(trigger).as_deref(), Ok(metric), "{trigger}");
        }
        let several = one("redis").unwrap_err();
        assert!(several.contains("shop/orders/jobs, ") || several.contains(", shop/orders/jobs"), "{several}");
        assert!(one("job").unwrap_err().contains("did you mean `shop/orders/jobs`?"), "{:?}", one("job"));
    }
}
