//! `plimsoll compare`: for each trigger of KEDA's own scalers, the value that KEDA has beside the one that we read: to trust
//! before switching.
//!
//! Reads sources once an interval, as a server would; changes nothing. Not for: triggers that are moved already (`explain`).

mod ours;
mod report;
mod series;
mod verdict;

use std::{
    collections::HashMap,
    io::{self, Write},
    path::PathBuf,
    time::Duration,
};

use anyhow::Result;
use clap::Args;
use futures::{StreamExt, stream};
use tokio::{
    signal::unix::{SignalKind, signal},
    time::{Instant, MissedTickBehavior, interval},
};

use self::{
    ours::Ours,
    report::Line,
    series::{Of, Said, Series},
    verdict::{Pair, Record, Signs},
};
use super::{
    exit::{Exit, Unusable},
    kubernetes::Kubernetes,
    output::{Format, Paint},
    serve::duration,
    words::span,
};
use crate::{
    backend::Registry,
    credentials::cluster::Cluster,
    error::{clean, counted},
    limits,
    object::ObjectRef,
};

/// Lay the value that KEDA has of each built-in trigger beside ours from the same source: to trust before switching.
///
/// Without a file all triggers of the cluster are compared, read with the logins that KEDA has. KEDA's values are from its
/// operator's series (`--keda-metrics`), or else from the external metrics API. Ends with 0 where all agree, with 1 where one
/// does not, with 2 where nothing can be compared. Ctrl-C ends it early, with what is known by then.
#[derive(Debug, Args)]
pub(super) struct Compare {
    /// Compare the triggers of these files, or of standard input (`-`), and not those of the cluster.
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// The namespace of objects in files that name none.
    #[arg(long, short, value_name = "NAME", default_value = "default")]
    namespace: String,
    /// The series of KEDA's operator: `http://127.0.0.1:8080/metrics`.
    #[arg(long, value_name = "URL")]
    keda_metrics: Option<String>,
    /// For how long.
    #[arg(long = "for", value_name = "TIME", value_parser = duration, default_value = "10m")]
    lasts: Duration,
    /// How often both are read.
    #[arg(long, value_name = "TIME", value_parser = every, default_value = "10s")]
    every: Duration,
    /// How the result is written.
    #[arg(long, short, value_enum, default_value = "text")]
    output: Format,
    #[command(flatten)]
    kubernetes: Kubernetes,
}

fn every(text: &str) -> Result<Duration, &'static str> {
    let every = duration(text)?;
    if every < Duration::from_secs(1) { Err("must be a second at least") } else { Ok(every) }
}

/// Where KEDA's values are from.
enum Keda {
    Series(Series),
    Api(Cluster),
}

/// A trigger and what is known of it.
struct Compared {
    ours: Ours,
    record: Record,
    metric: Option<String>,
    /// KEDA's count of errors at the beginning and now.
    errors: Option<(f64, f64)>,
}

impl Compare {
    pub(super) async fn run(self) -> Result<Exit> {
        let registry = Registry::standard();
        let cluster = match (self.files.is_empty(), &self.keda_metrics) {
            (false, Some(_)) => None,
            _ => Some(
                self.kubernetes
                    .always()
                    .await
                    .map_err(|error| Unusable(format!("{error}; with files and `--keda-metrics` none is needed")))?,
            ),
        };
        let keda = match (&self.keda_metrics, &cluster) {
            (Some(url), _) => Keda::Series(Series::new(url)?),
            (None, Some(cluster)) => Keda::Api(cluster.clone()),
            (None, None) => return Err(Unusable("there is nothing to compare with".to_owned()).into()),
        };
        let triggers = match &cluster {
            Some(cluster) if self.files.is_empty() => ours::of_cluster(cluster, &registry).await?,
            _ => ours::of_files(&self.files, &self.namespace, &registry)?,
        };
        if triggers.is_empty() {
            let known: Vec<&str> = registry.scaler_types().collect();
            let text = format!("there is no built-in trigger of a type that this server reads: {}", known.join(", "));
            return Err(Unusable(text).into());
        }
        if let Keda::Series(series) = &keda {
            // An address that is none is said at once, not after ten minutes.
            series.read().await.map_err(Unusable)?;
        }
        self.announce(triggers.len())?;
        let mut all: Vec<Compared> = triggers.into_iter().map(|ours| Compared::new(ours, self.every)).collect();
        self.rounds(&keda, &mut all).await?;
        let mut lines: Vec<Line> = all.iter().map(Compared::line).collect();
        let agree = lines.iter().all(|line| line.verdict == verdict::Verdict::Agree);
        let mut out = io::stdout().lock();
        report::write(&mut out, self.output, Paint::of_stdout(), &mut lines)?;
        out.flush()?;
        Ok(if agree { Exit::Done } else { Exit::Found })
    }

    fn announce(&self, count: usize) -> io::Result<()> {
        let from = if self.keda_metrics.is_some() { "its operator's series" } else { "the external metrics API" };
        writeln!(
            io::stderr(),
            "plimsoll: comparing {} for {}, every {}, with KEDA's values from {from}; Ctrl-C ends it early",
            counted(count, "trigger"),
            span(self.lasts.as_secs_f64()),
            span(self.every.as_secs_f64())
        )
    }

    async fn rounds(&self, keda: &Keda, all: &mut [Compared]) -> io::Result<()> {
        let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let mut ticks = interval(self.every);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let ends = Instant::now() + self.lasts;
        loop {
            let look = async {
                ticks.tick().await;
                round(keda, all).await;
            };
            tokio::select! {
                () = look => {}
                _ = terminate.recv() => return Ok(()),
                _ = interrupt.recv() => return Ok(()),
            }
            if Instant::now() + self.every > ends {
                return Ok(());
            }
        }
    }
}

/// One look at all, on both sides.
async fn round(keda: &Keda, all: &mut [Compared]) {
    // KEDA's series are of a moment, so all are read in one.
    let series = match keda {
        Keda::Series(series) => Some(series.read().await),
        Keda::Api(_) => None,
    };
    let series = series.as_ref();
    stream::iter(all.iter_mut())
        .for_each_concurrent(limits::LOOKS_AT_ONCE, async |compared| compared.look(keda, series).await)
        .await;
}

impl Compared {
    fn new(ours: Ours, every: Duration) -> Self {
        // What KEDA has is as old as its interval, and its next look takes a moment.
        let record = Record::new(ours.polling_interval + every + Duration::from_secs(2));
        Self { ours, record, metric: None, errors: None }
    }

    async fn look(&mut self, keda: &Keda, series: Option<&Result<HashMap<Of, Said>, String>>) {
        let (theirs, ours) = futures::join!(self.theirs(keda, series), self.ours.read());
        let (said, theirs) = theirs;
        if let Some(Said { metric, errors, .. }) = said {
            self.metric = Some(metric).filter(|metric| !metric.is_empty()).or(self.metric.take());
            self.errors = Some((self.errors.map_or(errors, |(first, _)| first), errors));
        }
        self.record.take(Pair { at: Instant::now(), keda: theirs, ours });
    }

    async fn theirs(
        &self,
        keda: &Keda,
        series: Option<&Result<HashMap<Of, Said>, String>>,
    ) -> (Option<Said>, Result<f64, String>) {
        match (keda, series) {
            (Keda::Api(cluster), _) => (None, self.of_api(cluster).await),
            (_, Some(Ok(series))) => {
                let said = series.get(&self.ours.of).cloned();
                let none = "it has no series of this trigger: is the object ready, is it another operator's?";
                let value = said.as_ref().and_then(|said| said.value).ok_or_else(|| none.to_owned());
                (said, value)
            }
            (_, Some(Err(error))) => (None, Err(error.clone())),
            (_, None) => (None, Err("it was not asked".to_owned())),
        }
    }

    async fn of_api(&self, cluster: &Cluster) -> Result<f64, String> {
        let (kind, namespace, name, _) = &self.ours.of;
        if *kind == "ScaledJob" {
            return Err("the external metrics API knows no ScaledJob: give the operator's series by `--keda-metrics`"
                .to_owned());
        }
        let metric = self.ours.metric().ok_or_else(|| "the metric's name is not known".to_owned())?;
        cluster.external_metric(ObjectRef { namespace, name }, &metric).await.map_err(|silent| silent.0)
    }

    fn line(&self) -> Line {
        let metric = self.ours.metric();
        let metrics = self.metric.as_deref().zip(metric.as_deref());
        let signs = Signs {
            metrics,
            errors: self.errors.map_or(0.0, |(first, last)| last - first),
            paused: self.ours.paused,
            page: page(&self.ours.scaler_type),
        };
        let (verdict, why) = self.record.verdict(&signs);
        let (kind, namespace, name, index) = &self.ours.of;
        let Record { looks, judged, same, elsewhen, keda, ours, apart, .. } = self.record;
        Line {
            verdict,
            kind,
            namespace: clean(namespace).into_owned(),
            name: clean(name).into_owned(),
            trigger_index: *index,
            trigger_name: self.ours.name.clone(),
            scaler_type: clean(&self.ours.scaler_type).into_owned(),
            keda,
            ours,
            looks,
            judged,
            same,
            elsewhen,
            apart,
            why: clean(&why).into_owned(),
            label: self.ours.label(),
        }
    }
}

/// The page of docs/backends for a scaler type.
fn page(scaler_type: &str) -> &str {
    match scaler_type {
        "apache-kafka" => "kafka",
        "aws-sqs-queue" => "sqs",
        _ => scaler_type.split('-').next().unwrap_or(scaler_type),
    }
}
