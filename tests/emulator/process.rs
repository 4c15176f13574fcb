//! The real binary as a child process: started on free ports, watched, ended as Kubernetes would.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, Command, ExitStatus, Stdio},
    sync::{Arc, mpsc},
    time::Duration,
};

use parking_lot::Mutex;
use tonic::transport::{Channel, Endpoint};

/// A free port of loopback.
const ANYWHERE: &str = "127.0.0.1:0";

/// `plimsoll serve` with a pid of its own; killed when dropped.
pub struct Process {
    child: Child,
    /// `host:port` of the gRPC port.
    pub grpc: String,
    /// `host:port` of the admin port.
    pub admin: String,
    log: Arc<Mutex<String>>,
    /// Lets the reader of the log go on.
    read_on: mpsc::Sender<()>,
}

impl Process {
    /// Starts the server and waits until it says where it listens.
    pub fn start(arguments: &[&str]) -> Self {
        Self::start_in(arguments, &[])
    }

    /// The same, with variables beside those of the test.
    pub fn start_in(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::start_on(ANYWHERE, arguments, environment)
    }

    /// The same, where KEDA calls being given.
    pub fn start_on(address: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::started(Command::new(env!("CARGO_BIN_EXE_plimsoll")), address, arguments, environment)
    }

    /// The same, with no more than so many descriptors.
    pub fn start_with_descriptors(most: usize, arguments: &[&str]) -> Self {
        let mut shell = Command::new("sh");
        let program = format!("ulimit -n {most} && exec \"$0\" \"$@\"");
        shell.args(["-c", &program, env!("CARGO_BIN_EXE_plimsoll")]);
        Self::started(shell, ANYWHERE, arguments, &[])
    }

    fn started(command: Command, address: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let server = Self::spawn(command, address, arguments, environment);
        server.read_on();
        server
    }

    /// The same, and nobody reads its log any more once it serves, until [`read_on`](Self::read_on).
    pub fn start_unread(arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        Self::spawn(Command::new(env!("CARGO_BIN_EXE_plimsoll")), ANYWHERE, arguments, environment)
    }

    /// Starts a server that must not serve: its exit code and what it said.
    pub fn refuses(arguments: &[impl AsRef<std::ffi::OsStr>]) -> (Option<i32>, String) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_plimsoll"));
        command.args(["serve", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]).args(arguments);
        let mut child = command.stderr(Stdio::piped()).stdout(Stdio::null()).spawn().expect("the binary is built");
        let begin = tokio::time::Instant::now();
        while child.try_wait().expect("it was started").is_none() {
            if begin.elapsed() > Duration::from_secs(20) {
                child.kill().expect("it runs");
                panic!("it serves all the same");
            }
            std::thread::yield_now();
        }
        let output = child.wait_with_output().expect("it has ended");
        (output.status.code(), String::from_utf8_lossy(&output.stderr).into_owned())
    }

    /// `host:port` of the pages.
    pub fn pages(&self) -> String {
        self.until_log("\"pages\"");
        let log = self.log();
        let fields = log.lines().find_map(|line| {
            let fields = serde_json::from_str::<serde_json::Value>(line).ok()?["fields"].clone();
            (fields["message"] == "serving").then_some(fields)
        });
        fields.expect("it serves")["pages"].as_str().expect("an address").to_owned()
    }

    fn spawn(mut command: Command, address: &str, arguments: &[&str], environment: &[(&str, &str)]) -> Self {
        let mut child = command
            .args(["serve", "--listen", address, "--admin-listen", ANYWHERE, "--log-format", "json"])
            .args(arguments)
            .envs(environment.iter().copied())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary is built");
        let log = Arc::new(Mutex::new(String::new()));
        let (serving, said) = mpsc::channel();
        let (read_on, go_on) = mpsc::channel();
        let (lines, kept) = (BufReader::new(child.stderr.take().expect("piped")), Arc::clone(&log));
        std::thread::spawn(move || {
            for line in lines.lines().map_while(Result::ok) {
                let fields = serde_json::from_str::<serde_json::Value>(&line).map(|line| line["fields"].clone());
                if let Ok(fields) = fields
                    && fields["message"] == "serving"
                {
                    let address = |name: &str| fields[name].as_str().unwrap_or_default().to_owned();
                    serving.send((address("grpc"), address("admin"))).ok();
                }
                let serves = line.contains("\"serving\"");
                {
                    let mut log = kept.lock();
                    log.push_str(&line);
                    log.push('\n');
                }
                if serves {
                    go_on.recv().ok();
                }
            }
        });
        let (grpc, admin) = said
            .recv_timeout(Duration::from_secs(20))
            .unwrap_or_else(|_| panic!("the server does not serve:\n{}", log.lock()));
        Self { child, grpc, admin, log, read_on }
    }

    /// Somebody reads the log again.
    pub fn read_on(&self) {
        self.read_on.send(()).ok();
    }

    /// A connection as KEDA's operator holds it.
    pub fn channel(&self) -> Channel {
        Endpoint::from_shared(format!("http://{}", self.grpc)).expect("an address").connect_lazy()
    }

    /// What it has logged so far.
    pub fn log(&self) -> String {
        self.log.lock().clone()
    }

    /// Waits until the log has `words`.
    #[track_caller]
    pub fn until_log(&self, words: &str) {
        let begin = tokio::time::Instant::now();
        while !self.log().contains(words) {
            assert!(begin.elapsed() < Duration::from_secs(20), "never {words}:\n{}", self.log());
            std::thread::yield_now();
        }
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The body of an admin page.
    pub fn page(&self, path: &str) -> String {
        let mut connection = TcpStream::connect(&self.admin).expect("the admin port listens");
        write!(connection, "GET {path} HTTP/1.0\r\n\r\n").expect("sent");
        let mut answer = String::new();
        connection.read_to_string(&mut answer).expect("answered");
        answer.split_once("\r\n\r\n").map(|(_, body)| body.to_owned()).unwrap_or_default()
    }

    /// What `/metrics` has of one series: `name` or `name{label="value"}`, which must be there.
    pub fn series(&self, series: &str) -> f64 {
        let page = self.page("/metrics");
        let value = page.lines().find_map(|line| line.strip_prefix(series)?.strip_prefix(' '));
        value.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("{series} in\n{page}"))
    }

    /// All rows of `/api/v1/triggers`, page by page.
    pub fn triggers(&self) -> Vec<serde_json::Value> {
        let mut rows: Vec<serde_json::Value> = Vec::new();
        loop {
            let page = self.page(&format!("/api/v1/triggers?offset={}", rows.len()));
            let mut page: serde_json::Value = serde_json::from_str(&page).expect("JSON");
            let more = page["triggers"].as_array_mut().map(std::mem::take).expect("rows");
            if more.is_empty() {
                return rows;
            }
            rows.extend(more);
        }
    }

    /// SIGTERM, as Kubernetes sends it.
    pub fn terminate(&self) {
        let sent = Command::new("kill").args(["-TERM", &self.pid().to_string()]).status();
        assert!(sent.is_ok_and(|status| status.success()));
    }

    /// Whether it has not ended yet.
    pub fn runs(&self) -> bool {
        std::fs::read_to_string(format!("/proc/{}/stat", self.pid())).is_ok_and(|stat| !stat.contains(") Z "))
    }

    /// Waits until it has ended.
    pub fn ended(&mut self, within: Duration) -> ExitStatus {
        let begin = std::time::SystemTime::now();
        loop {
            if let Some(status) = self.child.try_wait().expect("our child") {
                return status;
            }
            assert!(begin.elapsed().is_ok_and(|spent| spent < within), "it does not end:\n{}", self.log());
            std::thread::yield_now();
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
        if std::thread::panicking() {
            std::io::stderr().write_all(self.log().as_bytes()).ok();
        }
    }
}
