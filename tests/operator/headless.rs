//! What a headless Service is to KEDA's gRPC client: a name with one address for each ready replica.
//!
//! A name server on loopback of which the client is told in `scalerAddress`. Replicas listen on one port of addresses of
//! their own: all of 127.0.0.0/8 is this machine.

use std::{net::Ipv4Addr, sync::Arc};

use parking_lot::Mutex;
use tokio::{net::UdpSocket, task::JoinHandle};

const A: [u8; 2] = [0, 1];
/// A response, recursion desired and available, no error.
const ANSWER: [u8; 2] = [0x81, 0x80];
/// Of the header's parts, in bytes.
const HEADER: usize = 12;

pub struct Headless {
    addresses: Arc<Mutex<Vec<Ipv4Addr>>>,
    server: String,
    answering: JoinHandle<()>,
}

impl Headless {
    pub async fn new() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        let server = socket.local_addr().unwrap().to_string();
        let addresses = Arc::<Mutex<Vec<Ipv4Addr>>>::default();
        let known = Arc::clone(&addresses);
        #[expect(clippy::disallowed_methods, reason = "aborted on drop")]
        let answering = tokio::spawn(async move {
            let mut question = [0; 512];
            while let Ok((length, from)) = socket.recv_from(&mut question).await {
                let answer = answer(&question[..length], &known.lock());
                socket.send_to(&answer, from).await.ok();
            }
        });
        Self { addresses, server, answering }
    }

    /// What KEDA is told.
    pub fn scaler_address(&self, port: &str) -> String {
        format!("dns://{}/plimsoll.test.:{port}", self.server)
    }

    /// From now on these are ready.
    pub fn ready(&self, addresses: &[Ipv4Addr]) {
        addresses.clone_into(&mut self.addresses.lock());
    }
}

impl Drop for Headless {
    fn drop(&mut self) {
        self.answering.abort();
    }
}

/// The addresses to whoever asks for them, and nothing to all other questions.
fn answer(question: &[u8], addresses: &[Ipv4Addr]) -> Vec<u8> {
    let name = question[HEADER..].iter().position(|byte| *byte == 0).map_or(0, |end| HEADER + end + 1);
    let asked = &question[HEADER..name + 4];
    let given = if question[name..name + 2] == A { addresses } else { &[] };
    let mut answer = question[..2].to_vec();
    answer.extend(ANSWER);
    answer.extend([0, 1, 0, u8::try_from(given.len()).unwrap(), 0, 0, 0, 0]);
    answer.extend(asked);
    for address in given {
        // The name of the question, an address of the Internet, five seconds, four bytes.
        answer.extend([0xc0, 12, 0, 1, 0, 1, 0, 0, 0, 5, 0, 4]);
        answer.extend(address.octets());
    }
    answer
}
