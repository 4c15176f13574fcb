//! KEDA as a caller: what its operator does with an external-push trigger, call for call, over any channel.
//!
//! Not for: deciding what is right. Tests look at what comes back.

use std::{collections::BTreeMap, time::Duration};

use plimsoll::grpc::externalscaler::{
    GetMetricSpecResponse, GetMetricsRequest, IsActiveResponse, MetricSpec, MetricValue, ScaledObjectRef,
    external_scaler_client::ExternalScalerClient,
};
use tonic::{Code, Request, Status, Streaming, transport::Channel};

/// The HPA's requests carry the API server's own deadline; KEDA's polls carry none.
const HPA_DEADLINE: Duration = Duration::from_secs(60);

/// One trigger of one ScaledObject, as the operator holds it.
#[derive(Debug, Clone)]
pub struct Keda {
    client: ExternalScalerClient<Channel>,
    object: ScaledObjectRef,
}

/// What one poll found: the spec, the one value, and whether it is active.
#[derive(Debug, Clone, PartialEq)]
pub struct Poll {
    pub spec: MetricSpec,
    pub value: MetricValue,
    pub active: bool,
}

impl Keda {
    pub fn new(channel: Channel, name: &str, metadata: &[(&str, &str)]) -> Self {
        Self::of(channel, ("shop", name), metadata)
    }

    /// The same of an object in another namespace.
    pub fn of(channel: Channel, (namespace, name): (&str, &str), metadata: &[(&str, &str)]) -> Self {
        let scaler_metadata: BTreeMap<_, _> =
            metadata.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let object = ScaledObjectRef { name: name.to_owned(), namespace: namespace.to_owned(), scaler_metadata };
        Self { client: ExternalScalerClient::new(channel), object }
    }

    /// The reconciler, the scale loop and the HPA path all begin here: exactly one spec.
    pub async fn spec(&mut self) -> Result<MetricSpec, Status> {
        let GetMetricSpecResponse { mut metric_specs } =
            self.client.get_metric_spec(self.object.clone()).await?.into_inner();
        assert_eq!(metric_specs.len(), 1, "KEDA wants exactly one spec: {metric_specs:?}");
        Ok(metric_specs.remove(0))
    }

    /// The value of a metric by name; KEDA sums whatever comes, so it must be one.
    pub async fn value(&mut self, metric_name: &str, deadline: Option<Duration>) -> Result<MetricValue, Status> {
        let object = Some(self.object.clone());
        let mut request =
            Request::new(GetMetricsRequest { scaled_object_ref: object, metric_name: metric_name.to_owned() });
        if let Some(deadline) = deadline {
            request.set_timeout(deadline);
        }
        let mut values = self.client.get_metrics(request).await?.into_inner().metric_values;
        assert_eq!(values.len(), 1, "KEDA sums all values: {values:?}");
        Ok(values.remove(0))
    }

    pub async fn active(&mut self) -> Result<bool, Status> {
        let IsActiveResponse { result } = self.client.is_active(self.object.clone()).await?.into_inner();
        Ok(result)
    }

    /// The same from within a trace, as its `traceparent` says.
    #[allow(dead_code, reason = "not every test target traces")]
    pub async fn active_within(&mut self, traceparent: &str) -> Result<bool, Status> {
        let mut request = Request::new(self.object.clone());
        request.metadata_mut().insert("traceparent", traceparent.parse().expect("a header"));
        Ok(self.client.is_active(request).await?.into_inner().result)
    }

    /// One tick of the scale loop: strictly one call after the other, none with a deadline. On an error KEDA
    /// rebuilds the scaler and asks once more at once.
    pub async fn poll(&mut self) -> Result<Poll, Status> {
        let spec = match self.spec().await {
            Ok(spec) => spec,
            Err(_) => self.spec().await?,
        };
        let (value, active) = match self.value_and_activity(&spec, None).await {
            Ok(both) => both,
            Err(_) => self.value_and_activity(&spec, None).await?,
        };
        Ok(Poll { spec, value, active })
    }

    /// One sync of the HPA: through the operator, with the API server's deadline.
    pub async fn hpa(&mut self) -> Result<MetricValue, Status> {
        match self.sync().await {
            Err(status) if never_left(&status) => self.sync().await,
            answer => answer,
        }
    }

    async fn sync(&mut self) -> Result<MetricValue, Status> {
        let spec = self.spec().await?;
        Ok(self.value_and_activity(&spec, Some(HPA_DEADLINE)).await?.0)
    }

    async fn value_and_activity(
        &mut self,
        spec: &MetricSpec,
        deadline: Option<Duration>,
    ) -> Result<(MetricValue, bool), Status> {
        let value = self.value(&spec.metric_name, deadline).await?;
        Ok((value, self.active().await?))
    }

    /// The push goroutine's stream.
    pub async fn stream(&mut self) -> Result<Streaming<IsActiveResponse>, Status> {
        Ok(self.client.stream_is_active(self.object.clone()).await?.into_inner())
    }

    /// The spec stream of KEDA 2.21.
    pub async fn open_spec_stream(&mut self) -> Result<Streaming<GetMetricSpecResponse>, Status> {
        Ok(self.client.stream_metric_spec(self.object.clone()).await?.into_inner())
    }

    /// The same to its end: what it said, and how it ended. After `UNIMPLEMENTED` KEDA opens no other.
    pub async fn spec_stream(&mut self) -> (Vec<MetricSpec>, Code) {
        let mut specs = Vec::new();
        let mut stream = match self.open_spec_stream().await {
            Ok(stream) => stream,
            Err(status) => return (specs, status.code()),
        };
        loop {
            match stream.message().await {
                Ok(Some(said)) => specs.extend(said.metric_specs),
                Ok(None) => return (specs, Code::Ok),
                Err(status) => return (specs, status.code()),
            }
        }
    }
}

/// Whether the client still had the request when its connection went away. KEDA's client sends such a one again by itself.
fn never_left(status: &Status) -> bool {
    let mut cause = std::error::Error::source(status);
    while let Some(error) = cause {
        if let Some(error) = error.downcast_ref::<hyper::Error>() {
            return error.is_canceled();
        }
        cause = error.source();
    }
    false
}

/// What KEDA 2.17 and later makes of a value: the float if it is positive, else the integer.
pub fn seen_by_keda(value: &MetricValue) -> f64 {
    if value.metric_value_float > 0.0 { value.metric_value_float } else { value.metric_value as f64 }
}
