//! One entry of a ScaledObject's `triggers`, parsed: metadata and the registry make a source to read.
//!
//! Not for: anything that lasts, but for the login of a trigger that has one from elsewhere (`bound.rs`). The sampler keeps
//! what must be remembered between two questions.

mod bound;
mod examine;

use std::{sync::Arc, time::Duration};

use self::bound::Bound;
pub use self::examine::{Examined, examine};
use crate::net::Reach;
use crate::{
    backend::{Backend, Registry, Source},
    credentials::{Binding, CONNECTION, REFERENCES, Terms},
    error::{Problem, ReadError, SpecError, clean_within},
    limits,
    metadata::{Login, Metadata, Reader, Understood},
    reading::Metric,
};

/// No sample may live shorter than this: below it, refreshing costs the broker more than it tells the HPA.
const SHORTEST_INTERVAL: Duration = Duration::from_millis(100);

/// What a trigger wants to be told by its activation stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Push {
    /// Each rise, and again until KEDA's polls have heard of it.
    Always,
    /// Each rise once: where KEDA acts on a push that its polls would contradict, as with an activation target of
    /// `scalingModifiers`.
    Once,
    /// Nothing: polls decide.
    Never,
}

/// Characters of an unknown scaler type in the name of a metric: the longest known one has 23.
const LONGEST_NAMED: usize = 40;

/// A trigger as its metadata describes it.
#[derive(Debug)]
pub struct Trigger {
    /// What identifies it, with its binding: equal metadata, equal trigger.
    pub metadata: Arc<Metadata>,
    /// What gives it its login, where the metadata is not all there is.
    pub binding: Binding,
    /// KEDA's name for what it reads.
    pub scaler_type: &'static str,
    /// The place to read.
    pub source: Arc<dyn Source>,
    /// How long a sample lives.
    pub interval: Duration,
    /// How old a sample may get while refreshes fail.
    pub max_staleness: Duration,
    /// What its stream says.
    pub push: Push,
    bound: Option<Arc<Bound>>,
    warnings: Vec<String>,
}

/// What is read, but for its login.
#[derive(Clone, Copy)]
struct Plain<'a> {
    registry: &'a Registry,
    metadata: &'a Metadata,
    reach: &'a Reach,
    /// Where the trigger names none.
    default_interval: Duration,
}

/// What comes of it with a login.
struct Parsed {
    scaler_type: &'static str,
    common: Common,
    source: Arc<dyn Source>,
    warnings: Vec<String>,
}

/// What a trigger says for itself, whatever the backend.
struct Common {
    interval: Duration,
    max_staleness: Duration,
    push: Push,
}

impl Trigger {
    /// What is read, for people: cleaned, and short enough to leave room for what happened to it.
    #[must_use]
    pub fn describe(&self) -> String {
        clean_within(&self.source.describe(), limits::DESCRIPTION).into_owned()
    }

    /// Keys that nobody understands, in words, and what is amiss with its login while it works.
    #[must_use]
    pub fn warnings(&self) -> Vec<String> {
        self.bound.as_ref().map_or_else(|| self.warnings.clone(), |bound| bound.warnings())
    }

    /// Its metadata as it is understood with the login that is at hand; `reach` and `default_interval` as when it was parsed.
    #[must_use]
    pub fn understood(&self, registry: &Registry, reach: &Reach, default_interval: Duration) -> Vec<Understood> {
        let login = self.binding.at_hand().unwrap_or_default();
        let mut keys = Reader::new(&self.metadata).traced();
        if let Ok((scaler_type, backend)) = find_backend(registry, &mut keys) {
            Common::read(&mut keys, default_interval);
            keys.use_login(&login, backend.orders(scaler_type));
            // It was parsed before: what does not fit now is said by the next look.
            backend.parse(scaler_type, &mut keys, reach).ok();
        }
        keys.understood()
    }

    /// Sees to it that the source has the login that is good now: before each look.
    pub async fn prepare(&self) -> Result<(), ReadError> {
        match &self.bound {
            None => Ok(()),
            Some(bound) => bound.prepare().await,
        }
    }

    /// Parses `metadata` of a trigger that may reach `reach`; pure. `default_interval` holds where the trigger names none.
    pub fn parse(
        registry: &Registry,
        metadata: &Metadata,
        reach: &Reach,
        default_interval: Duration,
    ) -> Result<Self, SpecError> {
        Self::with(registry, metadata, reach, default_interval, Binding::default())
    }

    /// The same of one whose login `binding` gives. Where that is not known yet, what is wrong with it shows at the first look.
    pub fn with(
        registry: &Registry,
        metadata: &Metadata,
        reach: &Reach,
        default_interval: Duration,
        binding: Binding,
    ) -> Result<Self, SpecError> {
        let terms = binding.terms();
        let default_interval = terms.interval.unwrap_or(default_interval).max(SHORTEST_INTERVAL);
        let plain = Plain { registry, metadata, reach, default_interval };
        let metadata = Arc::new(metadata.clone());
        if binding.is_nothing() {
            let Parsed { scaler_type, common, source, warnings } = plain.read(&Login::default())?;
            let Common { interval, max_staleness, push } = common.by(terms);
            return Ok(Self {
                metadata,
                binding,
                scaler_type,
                source,
                interval,
                max_staleness,
                push,
                bound: None,
                warnings,
            });
        }
        let (scaler_type, common, metric) = plain.without_login()?;
        let Common { interval, max_staleness, push } = common.by(terms);
        let bound = Arc::new(Bound::new(plain, &metadata, binding.clone(), metric)?);
        let source = Arc::clone(&bound) as Arc<dyn Source>;
        let (bound, warnings) = (Some(bound), Vec::new());
        Ok(Self { metadata, binding, scaler_type, source, interval, max_staleness, push, bound, warnings })
    }
}

impl<'a> Plain<'a> {
    fn read(self, login: &Login) -> Result<Parsed, SpecError> {
        let (mut keys, scaler_type, backend) = self.open()?;
        let common = Common::read(&mut keys, self.default_interval);
        keys.use_login(login, backend.orders(scaler_type));
        let source = backend.parse(scaler_type, &mut keys, self.reach)?;
        let warnings = keys.unknown_keys();
        Ok(Parsed { scaler_type, common, source, warnings })
    }

    /// What can be told of a trigger before its login is known.
    fn without_login(self) -> Result<(&'static str, Common, Metric), SpecError> {
        let (mut keys, scaler_type, backend) = self.open()?;
        let common = Common::read(&mut keys, self.default_interval);
        keys.finish()?;
        match backend.metric(scaler_type, &mut Reader::new(self.metadata)) {
            Some(metric) => Ok((scaler_type, common, metric)),
            // The same problem, in words.
            None => {
                backend.parse(scaler_type, &mut keys, self.reach)?;
                Err(one_problem("metadata", "the trigger has no metric: correct its metadata"))
            }
        }
    }

    fn open(self) -> Result<(Reader<'a>, &'static str, &'a dyn Backend), SpecError> {
        if let Some(problem) = self.metadata.excess() {
            return Err(SpecError { problems: vec![problem] });
        }
        let mut keys = Reader::new(self.metadata);
        let (scaler_type, backend) = find_backend(self.registry, &mut keys)?;
        Ok((keys, scaler_type, backend))
    }
}

impl Common {
    /// What the object says of pushes is stronger.
    fn by(self, terms: Terms) -> Self {
        Self { push: if terms.never_pushed { Push::Never } else { self.push }, ..self }
    }

    fn read(keys: &mut Reader<'_>, default_interval: Duration) -> Self {
        let interval = interval(keys, default_interval);
        let max_staleness = keys.duration("maxStaleness").unwrap_or(interval * 2);
        if max_staleness < interval {
            keys.problem("maxStaleness", "`maxStaleness` must be at least `pollingInterval`");
        }
        let words = [("true", Push::Always), ("once", Push::Once), ("false", Push::Never)];
        let push = keys.choice("push", &words, Push::Always);
        keys.accept(&["idlePollingInterval", CONNECTION]);
        // Which trigger asks, and whose login it uses, was known before.
        keys.accept(&["triggerName"]);
        keys.accept(&REFERENCES);
        Self { interval, max_staleness, push }
    }
}

/// What KEDA is told of a trigger that cannot be followed, so that it makes the HPA, asks for the value and shows the answer:
/// the trigger's own metric where that can be read, else one that is named after its scaler type.
#[must_use]
pub fn metric_of_refused(registry: &Registry, metadata: &Metadata) -> Metric {
    let mut keys = Reader::new(metadata);
    let found = find_backend(registry, &mut keys).ok();
    let readable = found.filter(|_| metadata.excess().is_none());
    let own = readable.and_then(|(scaler_type, backend)| backend.metric(scaler_type, &mut keys));
    own.unwrap_or_else(|| {
        // Kubernetes wants a name that can be a part of a path.
        let legal = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
        let scaler_type = found.map_or_else(|| keys.text("scalerType").unwrap_or("unknown"), |(known, _)| known);
        let named: String = scaler_type.chars().take(LONGEST_NAMED).map(legal).collect();
        Metric { name: format!("plimsoll-{named}"), target: 1.0 }
    })
}

fn find_backend<'r>(
    registry: &'r Registry,
    keys: &mut Reader<'_>,
) -> Result<(&'static str, &'r dyn Backend), SpecError> {
    let wanted = keys.text("scalerType");
    let found = wanted.and_then(|wanted| {
        let scaler_type = registry.scaler_types().find(|known| *known == wanted)?;
        Some((scaler_type, registry.find(scaler_type)?))
    });
    found.ok_or_else(|| {
        let known: Vec<String> = registry.scaler_types().map(|known| format!("`{known}`")).collect();
        let what = if wanted.is_some() { "is not one this server knows" } else { "is required" };
        one_problem("scalerType", format!("`scalerType` {what}: use one of {}", known.join(", ")))
    })
}

fn interval(keys: &mut Reader<'_>, default: Duration) -> Duration {
    let interval = keys.duration("pollingInterval").unwrap_or(default);
    if interval < SHORTEST_INTERVAL {
        keys.problem("pollingInterval", format!("`pollingInterval` must be at least `{SHORTEST_INTERVAL:?}`"));
        return default;
    }
    interval
}

fn one_problem(key: &str, text: impl Into<String>) -> SpecError {
    SpecError { problems: vec![Problem::new(key, &text.into())] }
}
