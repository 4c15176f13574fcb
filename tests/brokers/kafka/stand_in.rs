//! A broker of our own that knows no topics and looks closely at logins.

use std::{sync::Arc, time::Duration};

use bytes::{Buf, BufMut, Bytes, BytesMut};
use kafka_protocol::{
    messages::{
        ApiKey, ApiVersionsResponse, MetadataRequest, MetadataResponse, RequestHeader, ResponseHeader,
        SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest, SaslHandshakeResponse,
        api_versions_response::ApiVersion,
        metadata_response::{MetadataResponseBroker, MetadataResponseTopic},
    },
    protocol::{Decodable, Encodable, StrBytes},
};
use parking_lot::Mutex;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::Instant,
};

/// Takes any login, and anonymous ones.
pub struct StandIn {
    pub address: String,
    /// Mechanism and first message of each login.
    pub logins: Arc<Mutex<Vec<(String, String)>>>,
    slammed: watch::Sender<bool>,
}

/// Where a connection stands.
enum Phase {
    Before,
    Handshaken(String),
    LoggedIn(Instant),
}

impl Phase {
    /// Anonymously or with a login that still holds, but not in the middle of one.
    fn may_ask(&self, lifetime: Option<Duration>) -> bool {
        match self {
            Self::Before => true,
            Self::Handshaken(_) => false,
            Self::LoggedIn(at) => lifetime.is_none_or(|life| at.elapsed() < life),
        }
    }
}

impl StandIn {
    /// A login holds for `lifetime`.
    pub async fn start(lifetime: Option<Duration>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let logins = Arc::<Mutex<Vec<_>>>::default();
        let kept = Arc::clone(&logins);
        let (slammed, slams) = watch::channel(false);
        #[expect(clippy::disallowed_methods, reason = "a test's tasks end with its runtime")]
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let serving = serve(stream, address.port(), lifetime, Arc::clone(&kept));
                let mut slams = slams.clone();
                tokio::spawn(async move {
                    tokio::select! {
                        () = serving => {}
                        _ = slams.wait_for(|slammed| *slammed) => {}
                    }
                });
            }
        });
        Self { address: address.to_string(), logins, slammed }
    }

    /// From now on accepts connections and hangs up at once, as a proxy does whose broker is away.
    pub fn slam(&self) {
        self.slammed.send_replace(true);
    }
}

async fn serve(
    mut stream: TcpStream,
    port: u16,
    lifetime: Option<Duration>,
    logins: Arc<Mutex<Vec<(String, String)>>>,
) {
    let mut phase = Phase::Before;
    while let Ok(length) = stream.read_u32().await {
        let mut request = vec![0; length.try_into().unwrap()];
        stream.read_exact(&mut request).await.unwrap();
        let mut request = Bytes::from(request);
        let key = ApiKey::try_from(request.slice(0..2).get_i16()).unwrap();
        let version = request.slice(2..4).get_i16();
        let header = RequestHeader::decode(&mut request, key.request_header_version(version)).unwrap();
        let mut body = BytesMut::new();
        phase = match (key, phase) {
            (ApiKey::ApiVersions, phase) => {
                let range = |key: ApiKey, max| {
                    ApiVersion::default().with_api_key(key as i16).with_min_version(0).with_max_version(max)
                };
                let keys = [
                    range(ApiKey::ApiVersions, 3),
                    range(ApiKey::SaslHandshake, 1),
                    range(ApiKey::SaslAuthenticate, 2),
                    range(ApiKey::Metadata, 9),
                ];
                ApiVersionsResponse::default().with_api_keys(keys.into()).encode(&mut body, version).unwrap();
                phase
            }
            (ApiKey::SaslHandshake, Phase::Before | Phase::LoggedIn(_)) => {
                let asked = SaslHandshakeRequest::decode(&mut request, version).unwrap();
                let offered = vec![asked.mechanism.clone()];
                SaslHandshakeResponse::default().with_mechanisms(offered).encode(&mut body, version).unwrap();
                Phase::Handshaken(asked.mechanism.to_string())
            }
            (ApiKey::SaslAuthenticate, Phase::Handshaken(mechanism)) => {
                let asked = SaslAuthenticateRequest::decode(&mut request, version).unwrap();
                logins.lock().push((mechanism, String::from_utf8(asked.auth_bytes.to_vec()).unwrap()));
                let life = lifetime.map_or(0, |life| i64::try_from(life.as_millis()).unwrap());
                let answer = SaslAuthenticateResponse::default().with_session_lifetime_ms(life);
                answer.encode(&mut body, version).unwrap();
                Phase::LoggedIn(Instant::now())
            }
            (ApiKey::Metadata, phase) if phase.may_ask(lifetime) => {
                let asked = MetadataRequest::decode(&mut request, version).unwrap();
                let unknown = |name| MetadataResponseTopic::default().with_name(name).with_error_code(3);
                let topics = asked.topics.unwrap().into_iter().map(|topic| unknown(topic.name)).collect();
                let me = MetadataResponseBroker::default()
                    .with_node_id(1.into())
                    .with_host(StrBytes::from_static_str("127.0.0.1"))
                    .with_port(port.into());
                let answer = MetadataResponse::default().with_brokers(vec![me]).with_topics(topics);
                answer.encode(&mut body, version).unwrap();
                phase
            }
            // As Kafka does with what it did not expect.
            _ => return,
        };
        let mut answer = BytesMut::new();
        let head = ResponseHeader::default().with_correlation_id(header.correlation_id);
        head.encode(&mut answer, key.response_header_version(version)).unwrap();
        answer.unsplit(body);
        let mut frame = BytesMut::new();
        frame.put_u32(answer.len().try_into().unwrap());
        frame.unsplit(answer);
        if stream.write_all(&frame).await.is_err() {
            return;
        }
    }
}
