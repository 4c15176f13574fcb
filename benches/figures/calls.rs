//! Warm `GetMetrics` calls a second, against a server of the same proto whose handlers return constants.

use std::{
    io::{BufRead, BufReader},
    pin::Pin,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use futures::{Stream, future::join_all};
use plimsoll::grpc::externalscaler::{
    GetMetricSpecResponse, GetMetricsRequest, GetMetricsResponse, IsActiveResponse, MetricSpec, MetricValue,
    ScaledObjectRef,
    external_scaler_server::{ExternalScaler, ExternalScalerServer},
};
use tokio::net::TcpListener;
use tonic::{
    Request, Response, Status,
    transport::{Channel, Endpoint, server::TcpIncoming},
};

use crate::{
    broker,
    emulator::Keda,
    process::Process,
    report::{Must, Report, median},
};

/// The argument that makes this program the other server.
pub const CONSTANT_SERVER: &str = "constant-server";
pub const ROUNDS: usize = 7;
const ROUND: Duration = Duration::from_secs(2);
const CALLERS: usize = 64;

pub async fn against_constants(report: &mut Report) {
    println!("calls: {ROUNDS} rounds of {ROUND:?} on each server in turn, {CALLERS} callers on one connection");
    let redis = broker("PLIMSOLL_TEST_REDIS");
    let ours = Process::start(&[]);
    let (_constants, address) = start_constants();
    let theirs = Endpoint::from_shared(format!("http://{address}")).expect("an address").connect_lazy();
    let (mut rates, mut constant_rates, mut ratios) = (Vec::new(), Vec::new(), Vec::new());
    for round in 0..=ROUNDS {
        let rate = calls_per_second(&of(ours.channel(), &redis)).await;
        let constant = calls_per_second(&of(theirs.clone(), &redis)).await;
        // The first round warms both up.
        if round > 0 {
            rates.push(rate);
            constant_rates.push(constant);
            ratios.push(rate / constant);
        }
    }
    report.add("GetMetrics, warm", median(&mut rates), "calls/s", Must::Nothing);
    report.add("GetMetrics of a server that returns constants", median(&mut constant_rates), "calls/s", Must::Nothing);
    report.add("GetMetrics, warm, against constants", median(&mut ratios), "ratio", Must::AtLeast(0.85));
}

/// The trigger that is asked for.
fn of(channel: Channel, redis: &str) -> Keda {
    let metadata = [
        ("scalerAddress", "plimsoll.keda.svc:6000"),
        ("scalerType", "redis"),
        ("address", redis),
        ("listName", "bench-calls"),
        ("listLength", "20"),
        ("activationListLength", "5"),
    ];
    Keda::new(channel, "orders", &metadata)
}

/// Of all callers together, for one round.
pub async fn calls_per_second(keda: &Keda) -> f64 {
    let name = keda.clone().spec().await.expect("answers").metric_name;
    keda.clone().value(&name, None).await.expect("answers");
    let begin = Instant::now();
    let callers = (0..CALLERS).map(|_| {
        let (mut keda, name) = (keda.clone(), name.clone());
        tokio::task::spawn(async move {
            let mut calls = 0_u32;
            while begin.elapsed() < ROUND {
                keda.value(&name, None).await.expect("answers");
                calls += 1;
            }
            calls
        })
    });
    let calls: u32 = join_all(callers).await.into_iter().map(|calls| calls.expect("no panic")).sum();
    f64::from(calls) / begin.elapsed().as_secs_f64()
}

struct Constants;

type Never<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ExternalScaler for Constants {
    type StreamIsActiveStream = Never<IsActiveResponse>;
    type StreamMetricSpecStream = Never<GetMetricSpecResponse>;

    async fn is_active(&self, _: Request<ScaledObjectRef>) -> Result<Response<IsActiveResponse>, Status> {
        Ok(Response::new(IsActiveResponse { result: true }))
    }

    async fn stream_is_active(&self, _: Request<ScaledObjectRef>) -> Result<Response<Never<IsActiveResponse>>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_metric_spec(&self, _: Request<ScaledObjectRef>) -> Result<Response<GetMetricSpecResponse>, Status> {
        let spec = MetricSpec { metric_name: "redis-bench-calls".to_owned(), target_size: 20, target_size_float: 20.0 };
        Ok(Response::new(GetMetricSpecResponse { metric_specs: vec![spec] }))
    }

    async fn stream_metric_spec(
        &self,
        _: Request<ScaledObjectRef>,
    ) -> Result<Response<Never<GetMetricSpecResponse>>, Status> {
        Err(Status::unimplemented(""))
    }

    async fn get_metrics(&self, _: Request<GetMetricsRequest>) -> Result<Response<GetMetricsResponse>, Status> {
        let metric_name = "redis-bench-calls".to_owned();
        let value = MetricValue { metric_name, metric_value: 7, metric_value_float: 7.0 };
        Ok(Response::new(GetMetricsResponse { metric_values: vec![value] }))
    }
}

/// The other server: prints its address and serves until it is killed.
pub async fn serve_constants() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("loopback");
    println!("{}", listener.local_addr().expect("bound"));
    let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
    let service = ExternalScalerServer::new(Constants);
    tonic::transport::Server::builder().add_service(service).serve_with_incoming(incoming).await.expect("serves");
}

struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

fn start_constants() -> (Killed, String) {
    let this = std::env::current_exe().expect("this program");
    let mut child = Command::new(this).arg(CONSTANT_SERVER).stdout(Stdio::piped()).spawn().expect("starts");
    let mut address = String::new();
    BufReader::new(child.stdout.take().expect("piped")).read_line(&mut address).expect("its address");
    (Killed(child), address.trim().to_owned())
}
