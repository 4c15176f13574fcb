//! The ports of the real binary, under callers that send little, nothing, or too much.

use std::{
    io::{ErrorKind, Read, Write},
    net::TcpStream,
    time::{Duration, SystemTime},
};

use crate::process::Process;

fn connect(address: &str) -> TcpStream {
    TcpStream::connect(address).expect("the port listens")
}

/// Waits for something that must come true.
#[track_caller]
fn until(what: &str, mut so: impl FnMut() -> bool) {
    let begin = SystemTime::now();
    while !so() {
        assert!(begin.elapsed().expect("time goes on") < Duration::from_secs(20), "never {what}");
        std::thread::yield_now();
    }
}

#[test]
fn without_descriptors_it_pauses_says_so_once_and_goes_on_when_there_are_some() {
    let server = Process::start_with_descriptors(40, &[]);
    let callers: Vec<_> = (0..60).map(|_| connect(&server.grpc)).collect();
    let said = |text: &str| server.log().matches(text).count();
    until("said", || said("no connection can be accepted") > 0);
    drop(callers);
    until("over", || said("connections are accepted again") > 0);
    assert_eq!(server.page("/livez"), "ok\n");
    // The admin port may have run out, too.
    assert!(said("no connection can be accepted") <= 2, "{}", server.log());
}

#[test]
fn half_sent_requests_keep_no_probe_out() {
    let server = Process::start(&[]);
    let half: Vec<_> = (0..300)
        .map(|_| {
            let mut caller = connect(&server.admin);
            caller.write_all(b"GET /livez HTTP/1.1\r\nhost: pl").expect("sent");
            caller
        })
        .collect();
    let begin = SystemTime::now();
    assert_eq!(server.page("/livez"), "ok\n");
    assert!(begin.elapsed().expect("time goes on") < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert!(server.log().contains("a port is full"), "{}", server.log());
    // All are closed by themselves, the last of them when it had its time.
    for mut caller in half {
        caller.set_read_timeout(Some(Duration::from_secs(20))).expect("set");
        let ended = caller.read(&mut [0; 512]);
        assert!(!matches!(&ended, Err(error) if error.kind() == ErrorKind::WouldBlock), "still open: {ended:?}");
    }
}
