//! Endpoints of the greeter in this process that answer as a script says.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use examples::greeter::greeter_server::GreeterServer;
use examples::service::GreeterService;
use mesh_core::testing::reserved_address;
use tokio::net::TcpListener;
use tokio::task::AbortHandle;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::Server;
use tonic::{Code, Request, Status};

/// An endpoint whose calls end as a script says, which begins anew when it is over.
#[derive(Debug)]
pub struct Scripted {
    /// Where it listens.
    pub address: SocketAddr,
    state: Arc<State>,
    task: AbortHandle,
}

#[derive(Debug)]
struct State {
    script: Mutex<Vec<Code>>,
    calls: AtomicUsize,
}

impl Scripted {
    /// Starts an endpoint of this name on a free loopback port.
    ///
    /// # Panics
    /// When there is no free port.
    pub async fn start(name: &str, script: &str) -> Self {
        let listener = TcpListener::bind(reserved_address()).await.expect("there is a free port");
        let address = listener.local_addr().expect("it listens");
        let state = Arc::new(State { script: Mutex::new(parse(script)), calls: AtomicUsize::new(0) });
        let answer = {
            let state = Arc::clone(&state);
            move |request: Request<()>| match state.next() {
                Code::Ok => Ok(request),
                code => Err(Status::new(code, "as the script says")),
            }
        };
        let service = GreeterServer::with_interceptor(GreeterService::new(name, "v1"), answer);
        let server = Server::builder().add_service(service);
        let task = tokio::spawn(server.serve_with_incoming(TcpListenerStream::new(listener)));
        Self { address, state, task: task.abort_handle() }
    }

    /// Another script, from its beginning.
    pub fn follow(&self, script: &str) {
        *self.state.lock() = parse(script);
        self.state.calls.store(0, Ordering::SeqCst);
    }

    /// How many calls have come since the script began.
    pub fn calls(&self) -> usize {
        self.state.calls.load(Ordering::SeqCst)
    }
}

impl State {
    fn next(&self) -> Code {
        let script = self.lock();
        script[self.calls.fetch_add(1, Ordering::SeqCst) % script.len()]
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Code>> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Scripted {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// One character for each call.
fn parse(script: &str) -> Vec<Code> {
    let code = |letter| match letter {
        '.' => Code::Ok,
        'U' => Code::Unavailable,
        'I' => Code::Internal,
        'K' => Code::Unknown,
        'L' => Code::DataLoss,
        'M' => Code::Unimplemented,
        'D' => Code::DeadlineExceeded,
        'N' => Code::NotFound,
        'R' => Code::ResourceExhausted,
        other => panic!("{other:?} stands for no status"),
    };
    script.chars().map(code).collect()
}
