//! What is wrong with KEDA's objects, found before they are applied: in triggers that this server reads, in KEDA's built-in
//! ones, and in what is around both.
//!
//! Pure: inputs make findings. Not for: reading files or printing (`cli`), or what the cluster holds besides.

mod channel;
mod env;
mod fields;
mod finding;
mod guess;
mod ignore;
pub mod live;
mod login;
mod metadata;
mod modifiers;
mod outage;
mod references;
mod replicas;
pub mod rules;
mod timing;
mod together;
mod world;

pub use finding::{Finding, Shown};
pub use metadata::Followed;
pub use rules::{Rule, Severity};
pub use world::World;

use std::collections::HashMap;

use crate::{
    backend::Registry,
    credentials::Connections,
    error::similar,
    limits,
    manifest::{Manifest, Object, Scaled, Source, Trigger},
    metadata::{Login, Metadata},
    net::Reach,
    trigger::examine,
};
use env::Variables;
use finding::{Pen, named};

/// How it is checked.
#[derive(Debug)]
pub struct Options {
    /// The backends.
    pub registry: Registry,
    /// The server's named connections, where its config is known.
    pub connections: Option<Connections>,
    /// Variables that stand in for those of workloads that are not in the input.
    pub environment: HashMap<String, String>,
    /// Codes that nobody wants to hear of.
    pub ignored: Vec<String>,
    /// For each scaler type, the keys of its backend.
    known: Vec<(&'static str, Vec<&'static str>)>,
}

/// What was found.
#[derive(Debug, Default)]
pub struct Report {
    /// In the order of the inputs, and of their lines.
    pub findings: Vec<Finding>,
    /// Left out by comments or options.
    pub ignored: usize,
    /// What was looked at.
    pub seen: Seen,
}

/// How much was looked at.
#[derive(Debug, Default, Clone, Copy, serde::Serialize)]
pub struct Seen {
    /// Inputs.
    pub files: usize,
    /// Kubernetes objects in them.
    pub objects: usize,
    /// KEDA's among these.
    pub keda: usize,
    /// Their triggers.
    pub triggers: usize,
    /// Documents that could not be read.
    pub unreadable: usize,
}

/// A trigger that this server can read, with all that is known of it.
pub struct Readable<'m, 't> {
    /// Of which object.
    pub scaled: Scaled<'m, 't>,
    /// Which of its triggers.
    pub trigger: Trigger<'m, 't>,
    /// What is known.
    pub followed: Followed,
}

impl Options {
    /// With these backends.
    #[must_use]
    pub fn new(registry: Registry) -> Self {
        let keys = |scaler_type: &str| {
            let metadata: Metadata = [("scalerType", scaler_type)].into_iter().collect();
            examine(&registry, &metadata, &Reach::open(), &Login::default()).known
        };
        let known = registry.scaler_types().map(|scaler_type| (scaler_type, keys(scaler_type))).collect();
        Self { registry, connections: None, environment: HashMap::new(), ignored: Vec::new(), known }
    }

    /// Whether the backend of `scaler_type` reads `key`, or all backends do.
    #[must_use]
    pub fn has_key(&self, scaler_type: &str, key: &str) -> bool {
        let base = crate::keda::base(key).0;
        self.known.iter().any(|(known, keys)| *known == scaler_type && (keys.contains(&key) || keys.contains(&base)))
    }
}

/// Checks all of `sources`, which belong together.
#[must_use]
pub fn check(options: &Options, sources: &[Source]) -> Report {
    let manifests: Vec<Manifest<'_>> = read(sources);
    let mut report = check_read(options, &manifests).0;
    settle(options, &manifests, &mut report);
    report
}

/// The trees of `sources`.
#[must_use]
pub fn read(sources: &[Source]) -> Vec<Manifest<'_>> {
    sources.iter().map(|source| Manifest::read(&source.name, &source.text)).collect()
}

/// The same of what was read, with the triggers that can be read.
#[must_use]
pub fn check_read<'m, 't>(options: &Options, manifests: &'m [Manifest<'t>]) -> (Report, Vec<Readable<'m, 't>>) {
    let world = World::of(manifests);
    let mut report = Report::default();
    let mut readable = Vec::new();
    let out = &mut report.findings;
    for manifest in manifests {
        of_file(manifest, out);
    }
    for object in &world.others {
        other_object(object, out);
    }
    for scaled in &world.scaled {
        if report.seen.triggers > limits::TRIGGERS_CHECKED {
            limits::Limit::Request.crossed();
            let what =
                format!("more than {} triggers: those from here on were not looked at", limits::TRIGGERS_CHECKED);
            Pen::of(out, &scaled.object).say(&rules::UNREADABLE, scaled.object.node, what, "give them in parts");
            report.seen.unreadable += 1;
            break;
        }
        report.seen.triggers += of_scaled(options, &world, scaled, out, &mut readable);
    }
    let readers = references::readers(&options.registry, &world);
    for object in &world.authentications {
        let mut pen = Pen::of(out, object);
        version(object, &mut pen);
        fields::check(object, &mut pen);
        references::authentication(&readers, &world, object, &mut pen);
    }
    together::check(&world, out);
    report.seen.files = manifests.len();
    report.seen.objects = world.objects;
    report.seen.keda = world.scaled.len() + world.authentications.len();
    report.seen.unreadable += manifests.iter().map(|manifest| manifest.troubles.len()).sum::<usize>();
    (report, readable)
}

/// Leaves out what is to be ignored, and puts the rest in the order of the inputs and of what stands in them.
pub fn settle(options: &Options, manifests: &[Manifest<'_>], report: &mut Report) {
    let out = &mut report.findings;
    for manifest in manifests {
        report.ignored += ignore::apply(manifest, out);
    }
    let before = out.len();
    out.retain(|finding| !options.ignored.iter().any(|code| code.eq_ignore_ascii_case(finding.rule.code)));
    report.ignored += before - out.len();
    let order: HashMap<&str, usize> =
        manifests.iter().enumerate().map(|(index, manifest)| (manifest.name, index)).collect();
    out.sort_by_cached_key(|finding| (order.get(finding.file.as_str()).copied(), finding.at, finding.rule.code));
}

fn of_file(manifest: &Manifest<'_>, out: &mut Vec<Finding>) {
    let template = manifest.text.contains("{{");
    let mut pen = Pen::of_file(out);
    for trouble in &manifest.troubles {
        if template {
            let what = format!("this is a template, which is no YAML yet ({})", trouble.text);
            pen.say_at(
                &rules::TEMPLATE,
                manifest.name,
                trouble.at,
                what,
                "check what it becomes: `helm template … | plimsoll check -`",
            );
        } else {
            let what = format!("this cannot be read as YAML: {}", trouble.text);
            pen.say_at(
                &rules::UNREADABLE,
                manifest.name,
                trouble.at,
                what,
                "correct it; the rest of the document was not looked at",
            );
        }
    }
    for (at, key) in &manifest.twice {
        let what = format!("{} stands twice in one mapping: Kubernetes refuses it, or the last one counts", named(key));
        pen.say_at(&rules::TWICE, manifest.name, *at, what, "take one away");
    }
}

/// Kinds that are KEDA's by their name, in a group that is not.
fn other_object(object: &Object<'_, '_>, out: &mut Vec<Finding>) {
    const KINDS: [&str; 4] = ["ScaledObject", "ScaledJob", "TriggerAuthentication", "ClusterTriggerAuthentication"];
    let node = |key: &str| object.node.get(key).unwrap_or(object.node);
    let mut pen = Pen::of(out, object);
    if object.is_keda() {
        let others = ["CloudEventSource", "ClusterCloudEventSource"];
        let near = similar(object.kind, KINDS).filter(|_| !others.contains(&object.kind));
        if let Some(near) = near {
            let what = format!("KEDA has no kind {}, did you mean `{near}`?", named(object.kind));
            pen.say(&rules::BAD_VALUE, node("kind"), what, format!("write `kind: {near}`"));
        }
    } else if KINDS.contains(&object.kind) {
        let what = match object.api_version {
            "" => format!("a {} without `apiVersion`: Kubernetes refuses it", object.kind),
            other => format!("a {} of {}: KEDA's are `keda.sh/v1alpha1`", object.kind, named(other)),
        };
        pen.say(&rules::BAD_VALUE, node("apiVersion"), what, "write `apiVersion: keda.sh/v1alpha1`");
    }
}

fn version(object: &Object<'_, '_>, pen: &mut Pen<'_>) {
    let node = object.node.get("apiVersion").unwrap_or(object.node);
    match object.api_version {
        "keda.sh/v1alpha1" => {}
        old if old.starts_with("keda.k8s.io") => {
            let what = "this is written for KEDA 1, which ended in 2020: KEDA 2 does not see it";
            pen.say(
                &rules::KEDA_1,
                node,
                what,
                "write `apiVersion: keda.sh/v1alpha1`; KEDA's page \"Migrating from KEDA v1 to v2\" has the rest",
            );
        }
        other => {
            let what = format!("KEDA has no version {}", named(other));
            pen.say(&rules::BAD_VALUE, node, what, "write `apiVersion: keda.sh/v1alpha1`");
        }
    }
}

/// One object with triggers; how many.
fn of_scaled<'m, 't>(
    options: &Options,
    world: &World<'m, 't>,
    scaled: &Scaled<'m, 't>,
    out: &mut Vec<Finding>,
    readable: &mut Vec<Readable<'m, 't>>,
) -> usize {
    let mut pen = Pen::of(out, &scaled.object);
    version(&scaled.object, &mut pen);
    if let Some(spec) = scaled.spec.filter(|spec| spec.source().contains("{{")) {
        let what = "there is a template (`{{`) in it: what it becomes is not known";
        pen.say(&rules::TEMPLATE, spec, what, "check what it becomes: `helm template … | plimsoll check -`");
        return 0;
    }
    fields::check(&scaled.object, &mut pen);
    keda_1(scaled, &mut pen);
    let triggers = scaled.triggers();
    replicas::check(world, scaled, &triggers, &mut pen);
    references::twins(&triggers, &mut pen);
    let variables = Variables::of(world, scaled);
    let count = triggers.len();
    let mut followings = Vec::new();
    for trigger in triggers {
        let mut pen = pen.of_trigger(&trigger);
        let followed = metadata::check(options, world, scaled, &trigger, &variables, &mut pen);
        references::check(world, scaled, &trigger, &mut pen);
        channel::check(world, scaled, &trigger, followed.as_ref(), &mut pen);
        followings.push((trigger, followed));
    }
    modifiers::check(scaled, &followings, &mut pen);
    timing::check(world, scaled, &followings, &mut pen);
    outage::check(scaled, &followings, &mut pen);
    let found = followings.into_iter().filter_map(|(trigger, followed)| Some((trigger, followed?)));
    readable.extend(found.map(|(trigger, followed)| Readable { scaled: *scaled, trigger, followed }));
    count
}

/// Fields of KEDA 1 that look like those of KEDA 2.
fn keda_1(scaled: &Scaled<'_, '_>, pen: &mut Pen<'_>) {
    let target = scaled.field(&["scaleTargetRef"]);
    let old = [("deploymentName", "name"), ("containerName", "envSourceContainerName")];
    for (old, new) in old {
        if let Some((key, _)) = target.and_then(|target| target.entry(old)) {
            let what = format!("`scaleTargetRef.{old}` is KEDA 1's: KEDA 2 drops it");
            pen.say(&rules::KEDA_1, key, what, format!("write `{new}`"));
        }
    }
    if let Some((key, _)) = scaled.spec.and_then(|spec| spec.entry("scaleType")) {
        let what = "`scaleType` is KEDA 1's: KEDA 2 has a kind ScaledJob";
        pen.say(&rules::KEDA_1, key, what, "take it away, or make a ScaledJob of it");
    }
}
