//! Logging in to a broker, and again before the login expires.
//!
//! The mechanisms themselves are `rsasl`'s; here is how Kafka carries them (SaslHandshake, SaslAuthenticate), what a
//! refusal means, and re-authentication on a live link (KIP-368).

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use kafka_protocol::{
    messages::{SaslAuthenticateRequest, SaslAuthenticateResponse, SaslHandshakeRequest},
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

use super::super::wire::{codes, link::Link};
#[cfg(feature = "gssapi")]
use super::kerberos::{Login, Step};
use super::token::Tokens;
#[cfg(feature = "gssapi")]
use crate::backend::kafka::kerberos::Kerberos;
use crate::{
    backend::kafka::connection::Sasl,
    clock::jittered,
    error::{ReadError, ReadErrorKind},
    metadata::Secret,
    net::Reach,
    task,
};

/// How long one step of a re-authentication may take, behind a parked Fetch too.
const STEP: Duration = Duration::from_secs(4);

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
        let response = link.login(&request, version, within).await?;
        // A broker lists them in any order; an error's text must not change with it.
        let mut offered: Vec<&str> = response.mechanisms.iter().map(|name| name.as_str()).collect();
        offered.sort_unstable();
        let offered = offered.join(", ");
        let (at, mechanism) = (self.at(link), self.mechanism());
        let text = match response.error_code {
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

    /// Tokens of Kerberos go back and forth until its helper has said its last word.
    #[cfg(feature = "gssapi")]
    async fn by_kerberos(
        &self,
        kerberos: &Kerberos,
        link: &Link,
        offered: &str,
        within: Duration,
    ) -> Result<Option<Duration>, ReadError> {
        let host = super::host(self.at(link)).unwrap_or_default();
        let mut login = Login::start(kerberos, host, &self.reach, Instant::now() + within).await?;
        loop {
            match login.step().await? {
                Step::More(token) => login.tell(&self.send(link, offered, token, within).await?.auth_bytes).await?,
                Step::Last(token) => return Ok(lifetime(&self.send(link, offered, token, within).await?)),
            }
        }
    }

    async fn authenticate(&self, link: &Link, offered: &str, within: Duration) -> Result<Option<Duration>, ReadError> {
        #[cfg(feature = "gssapi")]
        if let Sasl::Gssapi(kerberos) = &self.sasl {
            return self.by_kerberos(kerberos, link, offered, within).await;
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
        let mut input: Option<Bytes> = None;
        let mut holds = None;
        loop {
            let mut output = Vec::new();
            let state = session.step(input.as_deref(), &mut output).map_err(|error| unusable(&error))?;
            if state == State::Finished(MessageSent::No) {
                // The broker's last word was sound: SCRAM's server signature.
                return Ok(holds);
            }
            let answer = self.send(link, offered, output.into(), within).await?;
            holds = lifetime(&answer);
            if let Some(tokens) = &self.tokens {
                if answer.auth_bytes.is_empty() {
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
            input = Some(answer.auth_bytes);
        }
    }

    async fn send(
        &self,
        link: &Link,
        offered: &str,
        bytes: Bytes,
        within: Duration,
    ) -> Result<SaslAuthenticateResponse, ReadError> {
        let version = link.version::<SaslAuthenticateRequest>(i16::MAX)?;
        let response = link.login(&SaslAuthenticateRequest::default().with_auth_bytes(bytes), version, within).await?;
        if response.error_code == 0 {
            return Ok(response);
        }
        if let Some(tokens) = &self.tokens {
            tokens.forget();
        }
        let name = codes::name(response.error_code);
        let said = response.error_message.as_ref().map_or(&*name, |message| message.as_str());
        Err(self.refused(link, offered, said))
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

fn lifetime(answer: &SaslAuthenticateResponse) -> Option<Duration> {
    u64::try_from(answer.session_lifetime_ms).ok().filter(|ms| *ms > 0).map(Duration::from_millis)
}

/// Logs `link` in again, each time before its login expires: the broker would hang up then.
pub fn keep_logged_in(link: &Arc<Link>, authenticator: &Arc<Authenticator>, lifetime: Option<Duration>) {
    let Some(mut lifetime) = lifetime else { return };
    let (weak, authenticator) = (Arc::downgrade(link), Arc::clone(authenticator));
    link.attach(task::spawn(async move {
        loop {
            sleep(jittered(lifetime, 0.80..0.90)).await;
            let Some(link) = weak.upgrade() else { return };
            let again = async {
                authenticator.prepare().await?;
                let _alone = link.alone().await;
                authenticator.login(&link, STEP).await
            };
            match again.await {
                Ok(Some(next)) => lifetime = next,
                Ok(None) => return,
                Err(error) => return link.fail_with(error),
            }
        }
    }));
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
