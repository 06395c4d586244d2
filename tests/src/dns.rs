//! A name server with one address to give, and a file system in which it is the only one.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use crate::ConfigDir;

/// What it says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Says {
    /// That every name has this address.
    Address(Ipv4Addr),
    /// That there is no such name.
    NoSuchName,
    /// Nothing.
    Nothing,
}

/// A name server on port 53 of a loopback address that no other test has.
#[derive(Debug)]
pub struct NameServer {
    shared: Arc<Mutex<Shared>>,
    /// Its file is `/etc/resolv.conf` for a process that is started with [`front`](Self::front).
    resolv_conf: String,
    task: JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    says: Says,
    lookups: Vec<Instant>,
}

impl NameServer {
    /// Starts one, with its file beside `config`. Where that is not possible, because it takes root on Linux, there is
    /// `None` and a warning that no test runner swallows; the test then returns.
    ///
    /// # Panics
    /// Where it is not possible and `MESH_INTEROP=required` is set, as in CI.
    pub async fn start(test: &str, config: &ConfigDir, says: Says) -> Option<Self> {
        let [high, low] = (std::process::id() as u16).to_be_bytes();
        let address = SocketAddr::from((Ipv4Addr::new(127, 53, high, low), 53));
        let socket = UdpSocket::bind(address).await;
        let mounts = Command::new("unshare").args(["--mount", "true"]).output();
        let problem = match (&socket, mounts) {
            (Err(error), _) => format!("{address}: {error}"),
            (_, Err(error)) => format!("unshare: {error}"),
            (_, Ok(output)) if !output.status.success() => {
                String::from_utf8_lossy(&output.stderr).into_owned()
            }
            _ => String::new(),
        };
        let Some(socket) = socket.ok().filter(|_| problem.is_empty()) else {
            let missing = format!("test DID NOT RUN ({test}): it needs root on Linux; {problem}");
            assert!(std::env::var_os(SWITCH).is_none_or(|value| value != "required"), "{missing}");
            // Not `eprintln`: its output is shown of failed tests only.
            drop(writeln!(std::io::stderr(), "\nWARNING: {missing}\n"));
            return None;
        };
        let path = config.beside("resolv.conf");
        let text = format!("nameserver {}\nsearch .\noptions timeout:1 attempts:1\n", address.ip());
        std::fs::write(&path, text).expect("the temporary folder is writable");
        let shared = Arc::new(Mutex::new(Shared { says, lookups: Vec::new() }));
        let task = tokio::spawn(serve(socket, Arc::clone(&shared)));
        Some(Self { shared, resolv_conf: text_of(&path), task })
    }

    /// From now on.
    pub fn say(&self, says: Says) {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).says = says;
    }

    /// When a client queried an IPv4 address.
    pub fn lookups(&self) -> Vec<Instant> {
        self.shared.lock().unwrap_or_else(PoisonError::into_inner).lookups.clone()
    }

    /// What to put in front of a command, so that it asks this name server and no other.
    pub fn front(&self) -> [&str; 6] {
        let script = "mount --bind \"$0\" /etc/resolv.conf && exec \"$@\"";
        ["unshare", "--mount", "sh", "-c", script, &self.resolv_conf]
    }
}

impl Drop for NameServer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

fn text_of(path: &Path) -> String {
    path.to_string_lossy().into_owned()
}

async fn serve(socket: UdpSocket, shared: Arc<Mutex<Shared>>) {
    let mut query = [0; 512];
    while let Ok((length, peer)) = socket.recv_from(&mut query).await {
        let answer = {
            let mut shared = shared.lock().unwrap_or_else(PoisonError::into_inner);
            if is_for_ipv4(&query[..length]) {
                shared.lookups.push(Instant::now());
            }
            answer(&query[..length], shared.says)
        };
        if let Some(answer) = answer {
            drop(socket.send_to(&answer, peer).await);
        }
    }
}

/// Where the one question of a query ends (RFC 1035, section 4.1.2).
fn end_of_question(query: &[u8]) -> Option<usize> {
    let mut at = HEADER;
    loop {
        match *query.get(at)? {
            0 => return Some(at + 5).filter(|end| *end <= query.len()),
            label => at += 1 + usize::from(label),
        }
    }
}

fn is_for_ipv4(query: &[u8]) -> bool {
    end_of_question(query).is_some_and(|end| query[end - 4..end - 2] == TYPE_A)
}

fn answer(query: &[u8], says: Says) -> Option<Vec<u8>> {
    let end = end_of_question(query)?;
    let (code, address) = match says {
        Says::Nothing => return None,
        Says::NoSuchName => (3, None),
        Says::Address(address) => (0, Some(address).filter(|_| is_for_ipv4(query))),
    };
    let mut answer = query[..2].to_vec();
    // A response; recursion was desired and is available.
    answer.extend([0x81, 0x80 | code, 0, 1, 0, u8::from(address.is_some()), 0, 0, 0, 0]);
    answer.extend(&query[HEADER..end]);
    if let Some(address) = address {
        // The name of the question, class IN, to be asked for again at once, four bytes.
        answer.extend([0xc0, 12, TYPE_A[0], TYPE_A[1], 0, 1, 0, 0, 0, 0, 0, 4]);
        answer.extend(address.octets());
    }
    Some(answer)
}

const SWITCH: &str = "MESH_INTEROP";
const HEADER: usize = 12;
const TYPE_A: [u8; 2] = [0, 1];
