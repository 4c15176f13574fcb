//! The heart: one sample per distinct trigger, refreshed ahead of time, for everybody who asks.
//!
//! Invariants: at most one read in flight per trigger, owned by the server; unknown is an error, never 0; what
//! nobody wants costs nothing. Absent on purpose: anything about the wire or about one kind of broker.

mod askers;
mod connection;
mod detail;
mod entry;
mod gate;
mod gone;
mod history;
mod listing;
mod observe;
mod plan;
mod refused;
mod state;
mod subscription;
mod survey;
mod table;
mod traces;
mod view;

use std::{
    collections::BTreeMap,
    net::IpAddr,
    sync::{Arc, Weak, atomic::AtomicU64},
    time::Duration,
};

use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use askers::{AskerView, Told};
pub use connection::{CertificateView, ConnectionView, CredentialView};
pub use detail::{CredentialsView, Detail, KeyView, LookView, NamedView, PartsView};
pub use history::History;
pub use listing::{Counts, Listing, Query, Sort};
pub use state::{Failure, State};
pub use subscription::Subscription;
pub use table::{Allowance, Full, Room};
pub use view::{Change, ErrorView, ObjectView, Standing, View, Wake};

use self::{askers::Ask, gate::Gates, refused::Refused, table::Table};
use crate::{
    backend::Registry,
    clock::Clock,
    credentials::{self, Binding, Credentials, Unbound},
    error::{ReadError, SpecError},
    limits::{self, Limit},
    metadata::Metadata,
    net::{Policy, Reach, ReplyBytes},
    object::ObjectRef,
    reading::{Metric, Sample},
    task::{self, Task},
    telemetry::{Metrics, Observed},
    trigger::{Trigger, metric_of_refused},
};

/// How the sampler behaves where a trigger does not say.
#[derive(Debug, Clone)]
pub struct Settings {
    /// How long a sample lives: a third of the HPA's own period, since our reads are shared.
    pub default_interval: Duration,
    /// How long one read may take.
    pub read_timeout: Duration,
    /// For how long after a question a trigger is refreshed ahead of time (three intervals if those are longer):
    /// KEDA's default poll comes every 30 s.
    pub wanted_for: Duration,
    /// When a trigger that nobody asks about is forgotten, with all it remembers and its hold on the client.
    pub forget_after: Duration,
    /// Who may reach what.
    pub policy: Policy,
    /// Where logins come from, besides the metadata.
    pub credentials: Credentials,
    /// How much may be observed.
    pub allowance: Allowance,
    /// Of how many triggers each has series of its own.
    pub trigger_series: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            default_interval: Duration::from_secs(5),
            read_timeout: Duration::from_secs(5),
            wanted_for: Duration::from_secs(40),
            forget_after: Duration::from_secs(600),
            policy: Policy::same_for_all(Reach::open()),
            credentials: Credentials::default(),
            allowance: Allowance::default(),
            trigger_series: 0,
        }
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AskError {
    /// The metadata cannot be followed.
    #[error(transparent)]
    Spec(#[from] SpecError),
    /// There is no room for it.
    #[error(transparent)]
    Full(#[from] Full),
    /// The source cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
}

/// Every trigger under observation. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Sampler(Arc<Core>, Option<IpAddr>);

#[derive(Debug)]
struct Core {
    registry: Registry,
    settings: Settings,
    clock: Clock,
    metrics: Arc<Metrics>,
    gates: Arc<Gates>,
    table: RwLock<Table>,
    refused: Refused,
    /// What the cluster has and nobody has asked for, as it was found last.
    unasked: Mutex<Option<(Instant, Vec<View>)>>,
    /// The last number that a trigger was given.
    numbers: AtomicU64,
    /// What tells refused triggers apart.
    digests: std::hash::RandomState,
    /// Follow the policy, and the cluster's objects.
    _followers: Vec<Task>,
    /// Set when nothing is observed any more.
    closed: CancellationToken,
}

impl Sampler {
    /// A sampler that knows no trigger yet.
    #[must_use]
    pub fn new(registry: Registry, settings: Settings, clock: Clock, metrics: Arc<Metrics>) -> Self {
        let core = |core: &Weak<Core>| Core {
            registry,
            clock,
            metrics,
            gates: Arc::default(),
            table: RwLock::default(),
            refused: Refused::default(),
            unasked: Mutex::default(),
            numbers: AtomicU64::new(0),
            digests: std::hash::RandomState::new(),
            _followers: followers(&settings, core),
            settings,
            closed: CancellationToken::new(),
        };
        Self(Arc::new_cyclic(core), None)
    }

    /// The same, asked by a caller at `address`: it is shown beside those who ask.
    #[must_use]
    pub fn asked_from(&self, address: Option<IpAddr>) -> Self {
        Self(Arc::clone(&self.0), address)
    }

    fn ask<'a>(&self, object: ObjectRef<&'a str>) -> Ask<'a> {
        Ask { peer: self.1, ..Ask::of(object) }
    }

    /// The metric of a trigger, whatever else is wrong with it: KEDA shows why there is no value only where there is a
    /// metric. Pure: no I/O, and the trigger is not put under observation. An error only where no object asks.
    pub fn metric(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Result<Metric, SpecError> {
        observe::check(object)?;
        let reach = self.0.settings.policy.reach(object.namespace);
        let binding = self.0.settings.credentials.bind(object, metadata);
        if let Err(Unbound::Unknown(_)) = binding {
            // Whose login it uses says nothing about its metric, and may just not be known yet.
            return Ok(metric_of_refused(&self.0.registry, metadata));
        }
        let binding = self.0.bound(object, metadata, binding);
        let Ok(binding) = binding else { return Ok(metric_of_refused(&self.0.registry, metadata)) };
        if let Some(entry) = self.0.table.read().find(metadata, &reach, &binding) {
            return Ok(entry.trigger.source.metric().clone());
        }
        match self.0.parse(&reach, metadata, &binding) {
            Ok(trigger) => Ok(trigger.source.metric().clone()),
            Err(error) => {
                self.0.refuse(object, &reach, metadata, &error.to_string());
                Ok(metric_of_refused(&self.0.registry, metadata))
            }
        }
    }

    /// What gives the trigger its login. Only a question that waits for an answer anyway may ask the cluster for it.
    async fn binding(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Result<Binding, AskError> {
        observe::check(object)?;
        self.0.bound(object, metadata, self.0.settings.credentials.bind_or_look(object, metadata).await)
    }

    /// The metric and present sample of a trigger: from memory, or from the look that is due.
    pub async fn sample(
        &self,
        object: ObjectRef<&str>,
        metadata: &Metadata,
    ) -> Result<(Arc<Trigger>, Sample), AskError> {
        let binding = self.binding(object, metadata).await?;
        let ask = Ask { measures: true, ..self.ask(object) };
        let (entry, unasked_for) = self.0.observe(ask, metadata, &binding)?;
        let sample = entry.sample(&self.0, unasked_for).await?;
        Ok((Arc::clone(&entry.trigger), sample))
    }

    /// Whether a trigger is active, for a poll of KEDA's scale loop: what a poll has heard need not be pushed again.
    pub async fn poll(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Result<bool, AskError> {
        let binding = self.binding(object, metadata).await?;
        let (entry, unasked_for) = self.0.observe(self.ask(object), metadata, &binding)?;
        let sample = entry.sample(&self.0, unasked_for).await;
        // A poll that hears an error shows the pace all the same.
        entry.polled(object);
        Ok(sample?.reading.active)
    }

    /// Follows a trigger's state; while the subscription lives, the trigger is wanted and its wake is armed.
    pub fn subscribe(&self, object: ObjectRef<&str>, metadata: &Metadata) -> Result<Subscription, AskError> {
        observe::check(object)?;
        let binding = self.0.bound(object, metadata, self.0.settings.credentials.bind(object, metadata))?;
        self.listen(object, metadata, &binding)
    }

    /// The same; an object that is not known is looked for first.
    pub async fn subscribe_or_look(
        &self,
        object: ObjectRef<&str>,
        metadata: &Metadata,
    ) -> Result<Subscription, AskError> {
        let binding = self.binding(object, metadata).await?;
        self.listen(object, metadata, &binding)
    }

    fn listen(
        &self,
        object: ObjectRef<&str>,
        metadata: &Metadata,
        binding: &Binding,
    ) -> Result<Subscription, AskError> {
        let (entry, _) = self.0.observe(self.ask(object), metadata, binding)?;
        Ok(Subscription::new(object, entry, Arc::clone(&self.0)))
    }

    /// Resolves when what may be reached changes.
    pub fn policy_changed(&self) -> impl Future<Output = ()> + Send + 'static {
        let mut changes = self.0.settings.policy.changes();
        async move {
            if changes.changed().await.is_err() {
                std::future::pending().await
            }
        }
    }

    /// How many triggers may be observed.
    #[must_use]
    pub fn room_for_triggers(&self) -> usize {
        self.0.settings.allowance.triggers.in_all
    }

    /// How many connections are in use.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.0.table.read().connections()
    }

    /// What is counted here and below, for the series.
    pub fn observed(&self) -> Observed {
        let survey = self.0.survey();
        let (allowance, table) = (&self.0.settings.allowance, self.0.table.read());
        Observed {
            broker_requests: self.broker_requests(),
            connections: self.0.gates.len(),
            failing_connections: self.0.gates.failing(),
            limits: vec![
                (Limit::RepliesInFlight, ReplyBytes::held(), limits::REPLIES_IN_FLIGHT),
                (Limit::Triggers, table.len(), allowance.triggers.in_all),
                (Limit::Connections, table.connections(), allowance.connections.in_all),
                (Limit::TriggerSeries, survey.rows.len(), self.0.settings.trigger_series),
            ],
            survey,
            credentials: credentials::held(),
        }
    }

    /// Each backend's name, and how many requests it has sent.
    #[must_use]
    pub fn broker_requests(&self) -> Vec<(&'static str, u64)> {
        self.0.registry.requests().collect()
    }

    /// Each connection's id, and how many requests went over it.
    #[must_use]
    pub fn connection_requests(&self) -> Vec<(u64, u64)> {
        self.0.gates.requests()
    }

    /// How many looks a minute the triggers of each backend want.
    #[must_use]
    pub fn looks_per_minute(&self) -> BTreeMap<&'static str, f64> {
        let mut looks = BTreeMap::new();
        for slot in self.0.table.read().slots() {
            let trigger = &slot.entry.trigger;
            if let Some(backend) = self.0.registry.find(trigger.scaler_type) {
                *looks.entry(backend.name()).or_default() += 60.0 / trigger.interval.as_secs_f64();
            }
        }
        looks
    }

    /// How many connections are failing now.
    #[must_use]
    pub fn failing_connections(&self) -> usize {
        self.0.gates.failing()
    }

    /// Forgets every trigger, so that their clients close. Nothing is observed any more.
    pub fn close(&self) {
        self.0.closed.cancel();
        let table = std::mem::take(&mut *self.0.table.write());
        self.0.metrics.triggers.dec_by(i64::try_from(table.len()).unwrap_or(i64::MAX));
    }
}

fn followers(settings: &Settings, core: &Weak<Core>) -> Vec<Task> {
    let (policy, of_policy) = (settings.policy.clone(), Weak::clone(core));
    let mut followers =
        vec![task::supervise("policy", move || observe::follow(policy.clone(), Weak::clone(&of_policy)))];
    if let Some(cluster) = settings.credentials.cluster.clone() {
        let core = Weak::clone(core);
        followers.push(task::supervise("deleted objects", move || gone::follow(cluster.gone(), Weak::clone(&core))));
    }
    followers
}
