//! A process that a test starts, talks to, and never leaves behind.

use std::os::unix::process::CommandExt;
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use serde::de::DeserializeOwned;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use crate::PATIENCE;

/// How much of a process's output is kept for the message of a failed test.
const KEPT_OUTPUT: usize = 64 * 1024;

/// How long an ended process's output is waited for, should a child of its own still hold it open.
const LAST_OUTPUT: Duration = Duration::from_secs(5);

/// A child process in a group of its own; dropping it kills the group.
///
/// Its output is kept, and stands in the panic of any method that waits in vain.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    group: Pid,
    input: Option<ChildStdin>,
    lines: mpsc::UnboundedReceiver<String>,
    output: Arc<Mutex<String>>,
    readers: Vec<JoinHandle<()>>,
}

impl Process {
    /// Starts `command`, with pipes for its input and output. `name` is for messages.
    ///
    /// # Panics
    /// When it cannot be started.
    pub fn start(name: impl Into<String>, mut command: std::process::Command) -> Self {
        let name = name.into();
        command.process_group(0).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = match Command::from(command).spawn() {
            Ok(child) => child,
            Err(error) => panic!("{name} does not start: {error}"),
        };
        let id = child.id().and_then(|id| i32::try_from(id).ok()).expect("a new child has an id");
        let output = Arc::default();
        let (sender, lines) = mpsc::unbounded_channel();
        let mut readers = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            readers.push(tokio::spawn(read(stdout, Arc::clone(&output), Some(sender))));
        }
        if let Some(stderr) = child.stderr.take() {
            readers.push(tokio::spawn(read(stderr, Arc::clone(&output), None)));
        }
        let input = child.stdin.take();
        Self { name, child, group: Pid::from_raw(id), input, lines, output, readers }
    }

    /// The next line of its standard output.
    ///
    /// # Panics
    /// When it ends first, or says nothing for [`PATIENCE`].
    pub async fn line(&mut self) -> String {
        match timeout(PATIENCE, self.lines.recv()).await {
            Ok(Some(line)) => line,
            Ok(None) => panic!("{} ended without another line;{}", self.name, self.said()),
            Err(_) => panic!("{} said nothing for {PATIENCE:?};{}", self.name, self.said()),
        }
    }

    /// The next line of its standard output, as JSON.
    ///
    /// # Panics
    /// As [`Self::line`], and when the line is something else.
    pub async fn json<T: DeserializeOwned>(&mut self) -> T {
        let line = self.line().await;
        serde_json::from_str(&line)
            .unwrap_or_else(|error| panic!("{}: {error} in {line:?};{}", self.name, self.said()))
    }

    /// Writes a line to its standard input.
    ///
    /// # Panics
    /// When it no longer reads.
    pub async fn send(&mut self, line: &str) {
        let text = format!("{line}\n");
        let sent = match &mut self.input {
            Some(input) => input.write_all(text.as_bytes()).await.is_ok(),
            None => false,
        };
        assert!(sent, "{} does not read its input;{}", self.name, self.said());
    }

    /// Closes its standard input.
    pub fn close_input(&mut self) {
        self.input = None;
    }

    /// Its process id.
    pub fn id(&self) -> i32 {
        self.group.as_raw()
    }

    /// Sends a signal to the process and whatever it has started.
    ///
    /// # Panics
    /// When it is gone.
    pub fn signal(&self, signal: Signal) {
        if let Err(error) = killpg(self.group, signal) {
            panic!("{signal} to {}: {error};{}", self.name, self.said());
        }
    }

    /// Kills it outright, and waits until it is gone.
    ///
    /// # Panics
    /// When it is gone already.
    pub async fn kill(&mut self) {
        self.signal(Signal::SIGKILL);
        self.wait().await;
    }

    /// Asks it to end with SIGTERM, and waits until it has.
    ///
    /// # Panics
    /// When it is gone already, or does not end within [`PATIENCE`].
    pub async fn terminate(&mut self) -> ExitStatus {
        self.signal(Signal::SIGTERM);
        self.wait().await
    }

    /// Waits until it has ended, and its last words have been read.
    ///
    /// # Panics
    /// When it does not within [`PATIENCE`].
    pub async fn wait(&mut self) -> ExitStatus {
        let status = match timeout(PATIENCE, self.child.wait()).await {
            Ok(Ok(status)) => status,
            Ok(Err(error)) => panic!("waiting for {}: {error}", self.name),
            Err(_) => panic!("{} has not ended after {PATIENCE:?};{}", self.name, self.said()),
        };
        for reader in self.readers.drain(..) {
            // What it wrote is kept as it comes: a reader that is given up costs no line that was read.
            let _read = timeout(LAST_OUTPUT, reader).await;
        }
        status
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// What it has written so far, to both outputs; of very much, the end.
    pub fn output(&self) -> String {
        self.output.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn said(&self) -> String {
        match self.output() {
            output if output.is_empty() => " it has written nothing".to_owned(),
            output => format!(" it has written:\n{output}"),
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.is_running() {
            let _gone = killpg(self.group, Signal::SIGKILL);
        }
    }
}

/// Keeps what a process writes, and passes it on line by line.
async fn read(
    from: impl AsyncRead + Unpin,
    kept: Arc<Mutex<String>>,
    lines: Option<mpsc::UnboundedSender<String>>,
) {
    let mut from = BufReader::new(from);
    let mut bytes = Vec::new();
    while matches!(from.read_until(b'\n', &mut bytes).await, Ok(1..)) {
        let line = String::from_utf8_lossy(&bytes).trim_end().to_owned();
        keep(&mut kept.lock().unwrap_or_else(PoisonError::into_inner), &line);
        if let Some(lines) = &lines {
            // The test may have stopped listening; what is written is kept all the same.
            drop(lines.send(line));
        }
        bytes.clear();
    }
}

fn keep(kept: &mut String, line: &str) {
    kept.push_str(line);
    kept.push('\n');
    if kept.len() > KEPT_OUTPUT {
        let excess = kept.len() - KEPT_OUTPUT / 2;
        let cut = kept[..excess].rfind('\n').map_or(0, |at| at + 1);
        kept.drain(..cut);
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;
    use crate::eventually;

    fn shell(script: &str) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("shell", command)
    }

    #[tokio::test]
    async fn process_lines_are_written_and_read() {
        let mut process = shell("read line; echo \"[\\\"$line\\\"]\"; echo done >&2; exit 3");
        process.send("hello").await;
        assert_eq!(process.json::<Vec<String>>().await, ["hello"]);
        assert_eq!(process.wait().await.code(), Some(3));
        assert!(process.output().contains("done"), "{}", process.output());
    }

    #[tokio::test]
    async fn last_words_are_read_before_an_end_is_told() {
        for _ in 0..50 {
            let mut process = shell("echo last >&2; exit 1");
            assert_eq!(process.wait().await.code(), Some(1));
            assert_eq!(process.output(), "last\n");
        }
    }

    #[tokio::test]
    async fn dropping_kills_the_whole_group() {
        let mut process = shell("sleep 600 & echo $!; wait");
        let grandchild = Pid::from_raw(process.line().await.parse().unwrap());
        drop(process);
        eventually("the grandchild is gone", async || {
            // An orphan that no one has reaped yet is dead too.
            match std::fs::read_to_string(format!("/proc/{grandchild}/stat")) {
                Ok(stat) if !stat.contains(") Z ") => Err(stat),
                _ => Ok(()),
            }
        })
        .await;
    }

    #[tokio::test]
    async fn process_can_be_asked_to_end() {
        let mut process = shell("trap 'exit 7' TERM; echo ready; while :; do sleep 0.05; done");
        assert_eq!(process.line().await, "ready");
        assert!(process.is_running());
        assert_eq!(process.terminate().await.code(), Some(7));
    }

    #[test]
    fn end_of_long_output_is_kept() {
        let mut kept = String::new();
        for number in 0..10_000 {
            keep(&mut kept, &format!("line {number}"));
        }
        assert!(kept.len() <= KEPT_OUTPUT && kept.starts_with("line ") && kept.ends_with("line 9999\n"));
    }
}
