//! The five calls of KEDA's external scaler.

use std::{collections::BTreeMap, pin::Pin, time::Duration};

use futures::{Stream, StreamExt, stream};
use rand::RngExt;
use tokio::time::sleep;
use tonic::{Request, Response, Status};

use super::{
    connection::{EndStreams, Peer},
    externalscaler::{
        GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
        ScaledObjectRef, external_scaler_server::ExternalScaler,
    },
    secrets::Secrets,
    status::{of_ask, of_spec},
};
use crate::{
    limits,
    metadata::Metadata,
    object::ObjectRef,
    sampler::{AskError, Sampler},
    telemetry::spans,
    watch,
};

/// KEDA up to 2.19 multiplies by 1,000 into an int64: above this it overflows.
const LARGEST_VALUE: f64 = 9e15;

/// Within this time KEDA is told its target. Each one costs it a reconcile, and it begins with all objects at once.
const SPECS_WITHIN: Duration = Duration::from_secs(300);

/// After about this long a stream that found no room is to be tried again.
const ROOM_AGAIN: Duration = Duration::from_secs(60);

/// After about this long a stream is to be tried again whose object was not known.
const KNOWN_AGAIN: Duration = Duration::from_secs(5);

/// Answers KEDA from the sampler.
pub(super) struct Scaler {
    pub(super) sampler: Sampler,
    pub(super) stream_age: Option<Duration>,
    pub(super) secrets: Secrets,
}

type Answers<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ExternalScaler for Scaler {
    type StreamIsActiveStream = Answers<IsActiveResponse>;
    type StreamMetricSpecStream = Answers<GetMetricSpecResponse>;

    async fn is_active(&self, request: Request<ScaledObjectRef>) -> Result<Response<IsActiveResponse>, Status> {
        let sampler = self.asked_by(&request);
        let ScaledObjectRef { name, namespace, scaler_metadata } = request.into_inner();
        let object = ObjectRef { namespace: namespace.as_str(), name: name.as_str() };
        let asked = sampler.poll(object, &self.metadata(object, scaler_metadata)).await;
        asked.map(|result| Response::new(IsActiveResponse { result })).map_err(|error| of_ask(&error))
    }

    async fn stream_is_active(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamIsActiveStream>, Status> {
        let end = request.extensions().get().map(|EndStreams(end)| end.clone()).unwrap_or_default();
        let sampler = self.asked_by(&request);
        let ScaledObjectRef { name, namespace, scaler_metadata } = request.into_inner();
        let object = ObjectRef { namespace: namespace.as_str(), name: name.as_str() };
        let said = |()| Ok(IsActiveResponse { result: true });
        let answers: Self::StreamIsActiveStream =
            match sampler.subscribe_or_look(object, &self.metadata(object, scaler_metadata)).await {
                Ok(subscription) => Box::pin(watch::activations(subscription, end, self.stream_age).map(said)),
                // Said by every poll: here KEDA would only log it, and wait ever longer before it comes back.
                Err(error) => {
                    let (changed, room) = (self.sampler.policy_changed(), sleep(self.patience(&error)));
                    let again = async move {
                        tokio::select! {
                            () = changed => {}
                            () = room => {}
                        }
                    };
                    Box::pin(watch::silence(end, again).map(said))
                }
            };
        Ok(Response::new(answers))
    }

    async fn get_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<GetMetricSpecResponse>, Status> {
        self.spec(request.into_inner()).map(Response::new)
    }

    async fn stream_metric_spec(
        &self,
        request: Request<ScaledObjectRef>,
    ) -> Result<Response<Self::StreamMetricSpecStream>, Status> {
        // KEDA takes this as "there is no more", whether something was said before or not, and opens it no more.
        let no_more = || Status::unimplemented("targets change only with the trigger");
        let end = request.extensions().get().map(|EndStreams(end)| end.clone()).unwrap_or_default();
        // It is kept for minutes: what is not small is asked for.
        let small = |spec: &MetricSpec| spec.metric_name.len() <= limits::NAME;
        let spec = self.spec(request.into_inner()).ok().filter(|spec| spec.metric_specs.iter().all(small));
        let spec = spec.ok_or_else(no_more)?;
        let within = self.stream_age.map_or(SPECS_WITHIN, |age| age.min(SPECS_WITHIN));
        let wait = within.mul_f64(rand::rng().random_range(0.0..1.0));
        let words = async move {
            tokio::select! {
                () = end.cancelled() => Vec::new(),
                () = sleep(wait) => vec![Ok(spec), Err(no_more())],
            }
        };
        Ok(Response::new(Box::pin(stream::once(words).flat_map(stream::iter))))
    }

    async fn get_metrics(&self, request: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        let sampler = self.asked_by(&request);
        let GetMetricsRequest { scaled_object_ref, metric_name } = request.into_inner();
        self.value(&sampler, scaled_object_ref.unwrap_or_default(), metric_name).await.map(Response::new)
    }
}

impl Scaler {
    /// The sampler, to be asked on behalf of whoever sent `request`.
    fn asked_by<T>(&self, request: &Request<T>) -> Sampler {
        self.sampler.asked_from(request.extensions().get().and_then(|Peer(address)| *address))
    }

    /// What the call says of a trigger.
    fn metadata(&self, object: ObjectRef<&str>, scaler_metadata: BTreeMap<String, String>) -> Metadata {
        spans::asks(object.namespace, object.name);
        self.secrets.look(object, Metadata::from(scaler_metadata))
    }

    /// What is measured, and for how much of it there is to be a replica.
    fn spec(&self, object: ScaledObjectRef) -> Result<GetMetricSpecResponse, Status> {
        let ScaledObjectRef { name, namespace, scaler_metadata } = object;
        let object = ObjectRef { namespace: namespace.as_str(), name: name.as_str() };
        let metric = self.sampler.metric(object, &self.metadata(object, scaler_metadata));
        let metric = metric.map_err(|error| of_spec(&error))?;
        let spec = MetricSpec {
            metric_name: metric.name,
            target_size: rounded_up(metric.target).max(1),
            target_size_float: metric.target.min(LARGEST_VALUE),
        };
        Ok(GetMetricSpecResponse { metric_specs: vec![spec] })
    }

    /// How long the stream of a refused trigger lasts: room may be there soon, metadata changes with the ScaledObject.
    fn patience(&self, error: &AskError) -> Duration {
        match error {
            AskError::Full(_) => ROOM_AGAIN.mul_f64(rand::rng().random_range(0.75..1.25)),
            // Who asks may be known in a moment: the object is new, or the API server away.
            AskError::Read(_) => KNOWN_AGAIN.mul_f64(rand::rng().random_range(0.75..1.25)),
            _ => self.stream_age.unwrap_or(limits::DURATION),
        }
    }

    /// Exactly one value, for exactly the metric asked for; KEDA may have changed the case of its name.
    async fn value(
        &self,
        sampler: &Sampler,
        object: ScaledObjectRef,
        metric_name: String,
    ) -> Result<GetMetricsResponse, Status> {
        let ScaledObjectRef { name, namespace, scaler_metadata } = object;
        let object = ObjectRef { namespace: namespace.as_str(), name: name.as_str() };
        let asked = sampler.sample(object, &self.metadata(object, scaler_metadata)).await;
        let (trigger, sample) = asked.map_err(|error| of_ask(&error))?;
        let known = &trigger.source.metric().name;
        if !known.eq_ignore_ascii_case(&metric_name) {
            let text = format!("this trigger has no metric of the name asked for, its metric is `{known}`");
            return Err(Status::invalid_argument(text));
        }
        let value = sample.reading.value.clamp(0.0, LARGEST_VALUE);
        let value = MetricValue { metric_name, metric_value: rounded_up(value), metric_value_float: value };
        Ok(GetMetricsResponse { metric_values: vec![value] })
    }
}

/// For KEDA up to 2.16, which reads the integers only: the same sign and zero as the float.
#[expect(clippy::cast_possible_truncation, reason = "clamped to ±9e15, which i64 holds exactly")]
fn rounded_up(value: f64) -> i64 {
    value.clamp(-LARGEST_VALUE, LARGEST_VALUE).ceil() as i64
}
