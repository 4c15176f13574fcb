//! What the kernel says of a process: memory, threads, processor time, connections.

use std::fs;

fn status(pid: u32, field: &str) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/status")).expect("it runs");
    let line = text.lines().find(|line| line.starts_with(field)).expect("the kernel tells it");
    line.split_whitespace().nth(1).and_then(|number| number.parse().ok()).expect("a number")
}

/// Resident memory in MB.
pub fn resident_mb(pid: u32) -> f64 {
    status(pid, "VmRSS:") / 1024.0
}

pub fn threads(pid: u32) -> f64 {
    status(pid, "Threads:")
}

/// Processor time used so far, in seconds: user and system, in ticks of 10 ms.
pub fn cpu_seconds(pid: u32) -> f64 {
    let text = fs::read_to_string(format!("/proc/{pid}/stat")).expect("it runs");
    let (_, after_name) = text.rsplit_once(')').expect("a name in brackets");
    let fields: Vec<&str> = after_name.split_whitespace().collect();
    let ticks: f64 = [fields[11], fields[12]].iter().map(|ticks| ticks.parse::<f64>().expect("ticks")).sum();
    ticks / 100.0
}

/// Established TCP connections of a process to a port on this machine.
pub fn connections(pid: u32, port: u16) -> f64 {
    let sockets: Vec<String> = fs::read_dir(format!("/proc/{pid}/fd"))
        .expect("it runs")
        .filter_map(|fd| fs::read_link(fd.ok()?.path()).ok()?.to_str().map(str::to_owned))
        .filter_map(|link| link.strip_prefix("socket:[")?.strip_suffix(']').map(str::to_owned))
        .collect();
    let table = ["tcp", "tcp6"].map(|table| fs::read_to_string(format!("/proc/{pid}/net/{table}")).unwrap_or_default());
    let remote = format!(":{port:04X}");
    let established = table.iter().flat_map(|table| table.lines()).filter(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        fields.len() > 9
            && fields[2].ends_with(&remote)
            && fields[3] == "01"
            && sockets.iter().any(|inode| inode == fields[9])
    });
    established.count() as f64
}
