//! A stand-in for KEDA and the HPA: the same calls in the same order, and what they do with the answers.
//!
//! Only the waits are shorter than theirs. Not for: looking at Kafka. All it knows comes from the server over gRPC.

use std::{future::Future, time::Duration};

use anyhow::{Context, Result};
use parking_lot::Mutex;
use tokio::{
    sync::watch,
    time::{Instant, MissedTickBehavior, interval, sleep, timeout},
};
use tonic::{Code, Response, Status, transport::Channel};

use super::{
    board::{Answer, Board, Topic, count, in_words},
    hpa::Hpa,
};
use crate::grpc::externalscaler::{
    GetMetricsRequest, MetricSpec, ScaledObjectRef, external_scaler_client::ExternalScalerClient,
};

/// KEDA opens a stream again after this long, twice as long each time it ends badly, at most the second.
const REOPEN: (Duration, Duration) = (Duration::from_secs(2), Duration::from_secs(60));
/// The HPA's requests end after this long at the latest; KEDA's own have no limit, ours have this one.
const DEADLINE: Duration = Duration::from_secs(60);

/// How long KEDA and the HPA wait.
#[derive(Debug, Clone)]
pub(super) struct Waits {
    /// `pollingInterval` of the ScaledObject.
    pub(super) poll: Duration,
    /// The HPA's sync period.
    pub(super) hpa: Duration,
    /// `cooldownPeriod` of the ScaledObject.
    pub(super) cooldown: Duration,
    /// `stabilizationWindowSeconds` of the HPA's `scaleDown`.
    pub(super) stabilisation: Duration,
}

/// The loops of one ScaledObject.
pub(super) struct Keda {
    client: ExternalScalerClient<Channel>,
    object: ScaledObjectRef,
    waits: Waits,
    max_replicas: u32,
    board: Board,
    /// What the fleet follows.
    replicas: watch::Sender<u32>,
    /// When the trigger was last known to be active.
    last_active: Mutex<Option<Instant>>,
}

impl Keda {
    pub(super) fn new(
        client: ExternalScalerClient<Channel>,
        object: ScaledObjectRef,
        (waits, max_replicas): (Waits, u32),
        board: Board,
    ) -> Self {
        let (replicas, last_active) = (watch::Sender::new(0), Mutex::new(None));
        Self { client, object, waits, max_replicas, board, replicas, last_active }
    }

    /// The number of replicas wanted.
    pub(super) fn replicas(&self) -> watch::Receiver<u32> {
        self.replicas.subscribe()
    }

    /// Reconciles, then polls, listens and scales for ever.
    pub(super) async fn run(&self) -> Result<()> {
        let spec = self.spec().await.context("the server did not say what it measures")?;
        self.board.note(|facts| facts.target = spec.target_size_float);
        tokio::join!(self.listen(), self.poll(), self.autoscale(spec.target_size_float));
        Ok(())
    }

    /// The activation stream: open for ever, 0 → 1 as soon as it says `true`.
    async fn listen(&self) {
        let mut pause = REOPEN.0;
        loop {
            match self.listen_once().await {
                Ok(()) => pause = REOPEN.0,
                Err(status) => self.board.say(Topic::Trouble, format!("the stream broke: {}", status.message())),
            }
            sleep(pause).await;
            pause = (pause * 2).min(REOPEN.1);
        }
    }

    async fn listen_once(&self) -> Result<(), Status> {
        let mut stream = self.call(|mut client, object| async move { client.stream_is_active(object).await }).await?;
        while let Some(answer) = stream.message().await? {
            if answer.result {
                let took = self.board.note(|facts| facts.pushed());
                let why = took.map_or_else(|| "pushed".to_owned(), |took| format!("pushed after {}", in_words(took)));
                if !self.is_active(Topic::Push, &why) && took.is_some() {
                    self.board.say(Topic::Push, format!("{why}, the poll was first"));
                }
            }
        }
        Ok(())
    }

    /// Every `pollingInterval`: should it run at all? Only here does a workload go back to 0.
    async fn poll(&self) {
        let (mut ticks, mut was_active) = (ticks(self.waits.poll), false);
        loop {
            ticks.tick().await;
            match self.look().await {
                Ok((_, true)) => {
                    was_active = true;
                    self.is_active(Topic::Scale, "the poll found it active");
                }
                Ok((_, false)) => {
                    self.is_idle(was_active);
                    was_active = false;
                }
                Err(status) => self.trouble(&status),
            }
        }
    }

    /// The HPA: each period, while there are replicas, as many as the metric asks for.
    async fn autoscale(&self, target: f64) {
        let mut hpa = Hpa::new(target, self.max_replicas, self.waits.stabilisation);
        let mut ticks = ticks(self.waits.hpa);
        loop {
            ticks.tick().await;
            let current = *self.replicas.borrow();
            if current == 0 {
                hpa.forget();
                continue;
            }
            match self.look().await {
                Ok((value, _)) => {
                    let replicas = hpa.replicas(Instant::now(), current, value);
                    self.scale(Topic::Scale, &format!("HPA: lag {value:.0}, {target:.0} per replica"), |now| {
                        if now == current { replicas } else { now }
                    });
                }
                Err(status) => self.trouble(&status),
            }
        }
    }

    /// KEDA's three calls, in its order; once more when one fails, as it does.
    async fn look(&self) -> Result<(f64, bool), Status> {
        match self.look_once().await {
            Ok(answer) => Ok(answer),
            Err(_) => self.look_once().await,
        }
    }

    async fn look_once(&self) -> Result<(f64, bool), Status> {
        let metric_name = self.spec().await?.metric_name;
        let asked = self
            .call(|mut client, object| async move {
                let request = GetMetricsRequest { scaled_object_ref: Some(object), metric_name };
                client.get_metrics(request).await
            })
            .await?;
        let value = asked.metric_values.first().map(|value| value.metric_value_float);
        let value = value.ok_or_else(|| Status::internal("the server answered without a value"))?;
        let active = self.call(|mut client, object| async move { client.is_active(object).await }).await?.result;
        self.board.note(|facts| facts.answer = Some(Answer { value, active, at: Instant::now() }));
        Ok((value, active))
    }

    async fn spec(&self) -> Result<MetricSpec, Status> {
        let spec = self.call(|mut client, object| async move { client.get_metric_spec(object).await }).await?;
        spec.metric_specs.into_iter().next().ok_or_else(|| Status::internal("the server named no metric"))
    }

    /// One call, counted, within the deadline.
    async fn call<T, F>(
        &self,
        ask: impl FnOnce(ExternalScalerClient<Channel>, ScaledObjectRef) -> F,
    ) -> Result<T, Status>
    where
        F: Future<Output = Result<Response<T>, Status>>,
    {
        self.board.note(|facts| facts.calls += 1);
        let answer = timeout(DEADLINE, ask(self.client.clone(), self.object.clone())).await;
        answer.map_err(|_| Status::new(Code::DeadlineExceeded, "the server did not answer"))?.map(Response::into_inner)
    }

    /// Active: the cool-down begins anew, and a workload of 0 gets its first replica at once: true if it did.
    fn is_active(&self, topic: Topic, why: &str) -> bool {
        *self.last_active.lock() = Some(Instant::now());
        self.scale(topic, why, |now| now.max(1))
    }

    /// Idle: replicas stay until it has been so for the cool-down.
    fn is_idle(&self, was_active: bool) {
        if *self.replicas.borrow() == 0 {
            return;
        }
        let cooldown = self.waits.cooldown;
        if was_active {
            self.board
                .say(Topic::Quiet, format!("drained, cooling down: {} since it was last active", in_words(cooldown)));
        }
        if self.last_active.lock().is_none_or(|at| at.elapsed() > cooldown) {
            self.scale(Topic::Scale, "idle for the whole cool-down", |_| 0);
        }
    }

    /// Changes the number of replicas and says so. False if it stays.
    fn scale(&self, topic: Topic, why: &str, change: impl FnOnce(u32) -> u32) -> bool {
        self.replicas.send_if_modified(|replicas| {
            let before = *replicas;
            *replicas = change(before);
            let after = *replicas;
            if before != after {
                self.board.note(|facts| {
                    facts.replicas = after;
                    facts.peak = facts.peak.max(after);
                    let after = count(u64::from(after), "replica", "replicas");
                    facts.say(topic, format!("{why}: {before} → {after}"));
                });
            }
            before != after
        })
    }

    /// An error leaves the replicas as they are. KEDA makes an event of each one; the story tells changes only.
    fn trouble(&self, status: &Status) {
        let text = format!("{:?}: {}: replicas stay", status.code(), status.message());
        self.board.note(|facts| {
            if facts.lines.back().is_none_or(|line| line.text != text) {
                facts.say(Topic::Trouble, text);
            }
        });
    }
}

fn ticks(period: Duration) -> tokio::time::Interval {
    let mut ticks = interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}
