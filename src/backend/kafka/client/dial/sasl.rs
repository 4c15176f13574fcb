//! Logging in to a broker, and again before the login expires.
//!
//! The mechanisms themselves are `rsasl`'s; here is how Kafka carries them (SaslHandshake, SaslAuthenticate), what a
//! refusal means, and re-authentication on a live link (KIP-368).

use std::{
    sync::{Arc, Weak},
    time::Duration,
};

use bytes::Bytes;
use kafka_protocol::{
    messages::{SaslAuthenticateRequest, SaslHandshakeRequest},
    protocol::StrBytes,
};
use rsasl::{
    callback::{Context, Request, SessionCallback, SessionData},
    prelude::{Mechname, MessageSent, SASLClient, SASLConfig, SessionError, State},
    property::{AuthId, OAuthBearerKV, OAuthBearerToken, Password},
};
#[cfg(feature = "gssapi")]
use tokio::time::Instant;
use tokio::time::{sleep, timeout};

use super::super::wire::{codes, link::Link, replies::SaslAuthenticate};
#[cfg(feature = "gssapi")]
use super::kerberos::Login;
use super::token::Tokens;
use crate::{
    backend::kafka::connection::Sasl,
    clock::jittered,
    error::{ReadError, ReadErrorKind, quoted},
    identity::held::Issued,
    limits::{self, Limit},
    metadata::Secret,
    net::Reach,
    task,
};

/// How long one step of a re-authentication may take, behind a parked Fetch too.
const STEP: Duration = Duration::from_secs(4);

/// A broker that ends logins sooner does it without us: logging in must not become a loop.
const SHORTEST: Duration = Duration::from_millis(500);

/// Logs links in with one identity.
pub struct Authenticator {
    sasl: Sasl,
    tokens: Option<Tokens>,
    /// Where a realm's servers may be.
    #[cfg_attr(not(feature = "gssapi"), expect(dead_code, reason = "only Kerberos goes elsewhere"))]
    reach: Reach,
}

impl Authenticator {
    pub fn new(sasl: Sasl, reach: &Reach) -> Self {
        let tokens = Tokens::of(&sasl, reach);
        Self { sasl, tokens, reach: reach.clone() }
    }

    /// The token that is shown, if one is.
    pub fn issued(&self) -> Option<Issued> {
        self.tokens.as_ref().map(Tokens::issued)
    }

    /// Gets what a login needs from elsewhere: a token.
    pub async fn prepare(&self) -> Result<(), ReadError> {
        match &self.tokens {
            Some(tokens) => tokens.get().await.map(drop),
            None => Ok(()),
        }
    }

    /// Logs `link` in. Returns for how long that holds, if the broker limits it.
    pub async fn login(&self, link: &Link, within: Duration) -> Result<Option<Duration>, ReadError> {
        let exchange = async {
            let offered = self.handshake(link, within).await?;
            self.authenticate(link, &offered, within).await
        };
        match timeout(within, exchange).await {
            Ok(done) => done,
            Err(_) => {
                let text =
                    format!("`{}` does not finish the {} login within {within:?}", self.at(link), self.mechanism());
                Err(ReadError::new(ReadErrorKind::Timeout, text))
            }
        }
    }

    fn mechanism(&self) -> &'static str {
        self.sasl.mechanism()
    }

    fn at<'l>(&self, link: &'l Link) -> &'l str {
        &link.peer().address
    }

    /// Proposes our mechanism. Returns what the broker offers.
    async fn handshake(&self, link: &Link, within: Duration) -> Result<String, ReadError> {
        let request = SaslHandshakeRequest::default().with_mechanism(StrBytes::from_static_str(self.mechanism()));
        let version = link.version::<SaslHandshakeRequest>(1)?;
        let reply = link.login(&request, version, within).await?;
        // A broker lists them in any order; an error's text must not change with it.
        let mut offered = reply.mechanisms;
        offered.sort_unstable();
        let offered = quoted(&offered.join(", "));
        let (at, mechanism) = (self.at(link), self.mechanism());
        let text = match reply.code {
            0 => return Ok(offered),
            codes::UNSUPPORTED_SASL_MECHANISM => {
                format!("`{at}` does not offer {mechanism}, it offers {offered}: set `sasl` to one of these")
            }
            code if offered.is_empty() => {
                format!("`{at}` does not use SASL ({}): set `sasl: none`, or give a port with SASL", codes::name(code))
            }
            code => format!("`{at}` refuses a {mechanism} login: {}", codes::name(code)),
        };
        Err(ReadError::new(ReadErrorKind::Denied, text).of_connection())
    }

    async fn authenticate(&self, link: &Link, offered: &str, within: Duration) -> Result<Option<Duration>, ReadError> {
        #[cfg(feature = "gssapi")]
        if let Sasl::Gssapi(kerberos) = &self.sasl {
            let host = super::host(self.at(link)).unwrap_or_default();
            let login = Login::start(kerberos, host, &self.reach, Instant::now() + within).await?;
            let last = login.exchange(|token| self.send(link, offered, token, within)).await?;
            return Ok(lifetime(&last));
        }
        let unusable = |error: &dyn std::fmt::Display| {
            let text = format!("a {} login cannot be made: {error}: check `username` and `password`", self.mechanism());
            ReadError::new(ReadErrorKind::Denied, text).of_connection()
        };
        let config = SASLConfig::builder()
            .with_default_mechanisms()
            .with_callback(self.credentials().await?)
            .map_err(|error| unusable(&error))?;
        let name = Mechname::parse(self.mechanism().as_bytes()).map_err(|error| unusable(&error))?;
        let mut session = SASLClient::new(config).start_suggested(&[name]).map_err(|error| unusable(&error))?;
        let mut input: Option<Vec<u8>> = None;
        let mut holds = None;
        loop {
            if let Some(rounds) =
                input.as_deref().and_then(rounds).filter(|rounds| *rounds > limits::KAFKA_SCRAM_ROUNDS)
            {
                Limit::Reply.crossed();
                let text = format!(
                    "`{}` asks for {rounds} rounds in a {} login, more than {}: make the user's SCRAM credentials anew with fewer",
                    self.at(link),
                    self.mechanism(),
                    limits::KAFKA_SCRAM_ROUNDS
                );
                return Err(ReadError::new(ReadErrorKind::Denied, text).of_connection());
            }
            // Thousands of rounds of a hash are nothing for a thread that others wait for.
            let stepped = task::blocking(move || {
                let mut output = Vec::new();
                let state = session.step(input.as_deref(), &mut output);
                (session, state, output)
            });
            let (back, state, output) = stepped.await.ok_or_else(|| unusable(&"a defect of ours"))?;
            let state = state.map_err(|error| unusable(&error))?;
            session = back;
            if state == State::Finished(MessageSent::No) {
                // The broker's last word was sound: SCRAM's server signature.
                return Ok(holds);
            }
            let answer = self.send(link, offered, output.into(), within).await?;
            holds = lifetime(&answer);
            if let Some(tokens) = &self.tokens {
                if answer.bytes.is_empty() {
                    return Ok(holds);
                }
                // A refusal in JSON. The broker says it again, as an error, after an empty confirmation (RFC 7628 §3.2.3).
                tokens.forget();
                self.send(link, offered, Bytes::from_static(b"\x01"), within).await?;
                return Err(self.refused(link, offered, "the token is not accepted"));
            }
            if state.is_finished() {
                return Ok(holds);
            }
            input = Some(answer.bytes);
        }
    }

    async fn send(
        &self,
        link: &Link,
        offered: &str,
        bytes: Bytes,
        within: Duration,
    ) -> Result<SaslAuthenticate, ReadError> {
        let version = link.version::<SaslAuthenticateRequest>(i16::MAX)?;
        let reply = link.login(&SaslAuthenticateRequest::default().with_auth_bytes(bytes), version, within).await?;
        if reply.code == 0 {
            return Ok(reply);
        }
        if let Some(tokens) = &self.tokens {
            tokens.forget();
        }
        let name = codes::name(reply.code);
        let said = reply.message.as_deref().map_or(name, quoted);
        Err(self.refused(link, offered, &said))
    }

    fn refused(&self, link: &Link, offered: &str, said: &str) -> ReadError {
        let (at, mechanism) = (self.at(link), self.mechanism());
        let check = match &self.sasl {
            #[cfg(feature = "gssapi")]
            Sasl::Gssapi(_) => "that the brokers' principals are of this realm and `kerberosServiceName`",
            Sasl::Plain(_) | Sasl::Scram256(_) | Sasl::Scram512(_) => "`username`, `password` and `sasl`",
            Sasl::OauthOidc(_) => "the token endpoint, `scopes` and `oauthExtensions`",
            Sasl::MskIam(_) => "`awsRegion`, the AWS credentials and their right to `kafka-cluster:Connect`",
        };
        let text = format!("`{at}` refuses our {mechanism} login: {said} (it offers {offered}): check {check}");
        ReadError::new(ReadErrorKind::Denied, text).of_connection()
    }

    async fn credentials(&self) -> Result<Credentials, ReadError> {
        Ok(match &self.sasl {
            Sasl::Plain(login) | Sasl::Scram256(login) | Sasl::Scram512(login) => {
                Credentials::Login { username: login.username.clone(), password: login.password.clone() }
            }
            Sasl::OauthOidc(oidc) => {
                Credentials::Token { token: self.token().await?, extensions: oidc.extensions.clone() }
            }
            Sasl::MskIam(_) => Credentials::Token { token: self.token().await?, extensions: Vec::new() },
            #[cfg(feature = "gssapi")]
            Sasl::Gssapi(_) => {
                return Err(ReadError::new(ReadErrorKind::Internal, "Kerberos has no credentials to tell"));
            }
        })
    }

    async fn token(&self) -> Result<Secret, ReadError> {
        match &self.tokens {
            Some(tokens) => tokens.get().await,
            None => Err(ReadError::new(ReadErrorKind::Internal, "a login by token has no source of tokens")),
        }
    }
}

/// The rounds that a SCRAM server's first message asks for (RFC 5802 §5.1): `r=…,s=…,i=4096`.
fn rounds(message: &[u8]) -> Option<u32> {
    let stated = message.split(|byte| *byte == b',').find_map(|part| part.strip_prefix(b"i="))?;
    // What is too long for a number asks for too many.
    std::str::from_utf8(stated).ok()?.parse().ok().or(Some(u32::MAX))
}

fn lifetime(answer: &SaslAuthenticate) -> Option<Duration> {
    u64::try_from(answer.lifetime_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}

/// Logs `link` in again, each time before its login expires: the broker would hang up then.
pub fn keep_logged_in(link: &Arc<Link>, authenticator: &Arc<Authenticator>, lifetime: Option<Duration>) {
    let Some(lifetime) = lifetime.map(|lifetime| lifetime.max(SHORTEST)) else { return };
    let (weak, authenticator) = (Arc::downgrade(link), Arc::clone(authenticator));
    let renew = move || renew(weak.clone(), Arc::clone(&authenticator), lifetime);
    link.attach(task::supervise("kafka login", renew));
}

async fn renew(link: Weak<Link>, authenticator: Arc<Authenticator>, mut lifetime: Duration) {
    loop {
        sleep(jittered(lifetime, 0.80..0.90)).await;
        let Some(link) = link.upgrade() else { return };
        let again = async {
            authenticator.prepare().await?;
            let _alone = link.alone().await;
            authenticator.login(&link, STEP).await
        };
        match again.await {
            Ok(Some(next)) => lifetime = next.max(SHORTEST),
            Ok(None) => return,
            Err(error) => return link.fail_with(error),
        }
    }
}

/// What `rsasl` asks us for.
enum Credentials {
    Login { username: String, password: Secret },
    Token { token: Secret, extensions: Vec<(String, String)> },
}

impl SessionCallback for Credentials {
    fn callback(&self, _: &SessionData, _: &Context, request: &mut Request<'_>) -> Result<(), SessionError> {
        match self {
            Self::Login { username, password } => {
                request.satisfy::<AuthId>(username)?.satisfy::<Password>(password.expose().as_bytes())?;
            }
            Self::Token { token, extensions } => {
                let pairs: Vec<(&str, &str)> = extensions.iter().map(|(key, value)| (&**key, &**value)).collect();
                request.satisfy::<OAuthBearerKV>(&pairs)?.satisfy::<OAuthBearerToken>(token.expose())?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use bytes::{Buf, BufMut};
    use kafka_protocol::{
        messages::{ResponseHeader, SaslAuthenticateResponse, SaslHandshakeResponse},
        protocol::Encodable,
    };
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, duplex};

    use super::*;
    use crate::backend::kafka::{
        client::wire::{explain::Peer, replies::ApiVersions, requests::Counts, versions::Versions},
        connection::Login,
    };

    /// A link to `peer`, which speaks the oldest versions of the login.
    fn link() -> (Link, DuplexStream) {
        let (near, far) = duplex(4 << 20);
        let peer = Peer {
            address: "b1:9092".into(),
            advertised: false,
            tls: false,
            client_certificate: false,
            sasl: Some("SCRAM-SHA-256"),
            worked: Arc::default(),
        };
        let link = Link::open(near, peer, Arc::new(Counts::default()));
        let versions = vec![(17, 0, 1), (36, 0, 0)];
        link.negotiated(Versions::from(ApiVersions { versions, ..ApiVersions::default() }));
        (link, far)
    }

    /// Waits for a request and answers it. Returns what stands behind its header.
    async fn answer(far: &mut DuplexStream, reply: impl FnOnce(&[u8]) -> Vec<u8>) {
        let length = far.read_u32().await.unwrap();
        let mut request = vec![0; length as usize];
        far.read_exact(&mut request).await.unwrap();
        let id = (&request[4..]).get_i32();
        let mut frame = bytes::BytesMut::new();
        ResponseHeader::default().with_correlation_id(id).encode(&mut frame, 0).unwrap();
        frame.put_slice(&reply(&request));
        far.write_u32(frame.len().try_into().unwrap()).await.unwrap();
        far.write_all(&frame).await.unwrap();
    }

    fn encoded(message: &impl Encodable, version: i16) -> Vec<u8> {
        let mut bytes = bytes::BytesMut::new();
        message.encode(&mut bytes, version).unwrap();
        bytes.to_vec()
    }

    /// What comes of a SCRAM login at a broker whose first message ends with `rest`.
    async fn login(rest: &'static str) -> ReadError {
        let (link, mut far) = link();
        let login = Login { username: "user".into(), password: Secret::new("secret") };
        let authenticator = Authenticator::new(Sasl::Scram256(login), &Reach::open());
        let broker = async {
            let offered = vec![StrBytes::from_static_str("SCRAM-SHA-256")];
            let taken = SaslHandshakeResponse::default().with_mechanisms(offered);
            answer(&mut far, |_| encoded(&taken, 1)).await;
            let challenge = |request: &[u8]| {
                let text = String::from_utf8_lossy(request);
                let nonce = text.rsplit_once("r=").unwrap().1.to_owned();
                let message = bytes::Bytes::from(format!("r={nonce}x,s=c2FsdA==,{rest}"));
                encoded(&SaslAuthenticateResponse::default().with_auth_bytes(message), 0)
            };
            answer(&mut far, challenge).await;
            std::future::pending::<()>().await
        };
        tokio::select! {
            ended = authenticator.login(&link, Duration::from_secs(2)) => ended.unwrap_err(),
            () = broker => unreachable!(),
        }
    }

    #[tokio::test]
    async fn a_broker_that_asks_for_very_many_rounds_is_refused_at_once() {
        for rest in ["i=4294967295", "i=20001", "i=99999999999999999999", "x=1,i=4000000000"] {
            let begun = tokio::time::Instant::now();
            let error = login(rest).await;
            assert!(error.to_string().contains("rounds in a SCRAM-SHA-256 login"), "{error}");
            assert!(begun.elapsed() < Duration::from_secs(1));
        }
        // As many as Kafka allows are made: what is missing then is the broker's next word.
        assert_eq!(login("i=4096").await.kind, ReadErrorKind::Timeout);
    }

    #[tokio::test]
    async fn a_frame_of_more_than_a_mebibyte_is_refused_before_the_login_at_its_length() {
        for (claim, says) in
            [(2 << 20, "more than 1 MiB before any login"), (200 << 20, "more than 1 MiB before any login")]
        {
            let (link, mut far) = link();
            let login = Login { username: "user".into(), password: Secret::new("secret") };
            let authenticator = Authenticator::new(Sasl::Plain(login), &Reach::open());
            far.write_u32(claim).await.unwrap();
            let error = authenticator.login(&link, Duration::from_secs(2)).await.unwrap_err();
            assert!(error.kind == ReadErrorKind::BadReply && error.to_string().contains(says), "{error}");
        }
    }
}
