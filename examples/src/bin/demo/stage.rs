//! Everything that the story plays with.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use examples::greeter::HelloRequest;
use examples::greeter::greeter_client::GreeterClient;
use mesh_core::runtime::Mesh;
use mesh_tonic::MeshChannel;
use tempfile::TempDir;
use tokio::time::sleep;
use tonic::Status;
use xds_client::bootstrap::Bootstrap;

use super::admin::Admin;
use super::identity::{Authority, CALLERS, FRONT, GREETER, STRANGER};
use super::load::{Load, Tally};
use super::process::{Addresses, ControlServer, Endpoint};
use super::screen::Screen;
use super::summary::{Phase, Summary};
use super::yaml::{Folder, NAMESPACE, PORT, SERVICE};

/// How many endpoints each version has.
const ENDPOINTS_PER_VERSION: usize = 6;
/// How long the split is looked at once, while waiting for it to change.
const GLANCE: Duration = Duration::from_millis(250);
/// How many objects the first configuration has: a service, its subsets, and its route.
const OBJECTS: usize = 3;
/// How long the control-server may take to read them.
const CONFIGURATION_LIMIT: Duration = Duration::from_secs(60);
/// How near a glance must come, in points of a hundred.
const ROUGHLY: f64 = 8.0;

/// Everything that the story plays with. Dropping it ends every process and removes every file.
#[derive(Debug)]
pub(crate) struct Stage {
    pub(crate) screen: Screen,
    pub(crate) endpoints: Vec<Endpoint>,
    pub(crate) control: ControlServer,
    pub(crate) load: Load,
    pub(crate) folder: Folder,
    admin: Admin,
    summary: Summary,
    start: Instant,
    home: TempDir,
    authority: Authority,
    /// Of the endpoints.
    bootstrap: PathBuf,
}

impl Stage {
    /// Starts the processes and the load.
    pub(crate) async fn build(mut screen: Screen, rate: u32) -> Result<Self> {
        let start = Instant::now();
        let home =
            tempfile::Builder::new().prefix("mesh-demo-").tempdir().context("a folder for the demo")?;
        let folder = Folder::create(home.path())?;
        let control = ControlServer::start(home.path()).await?;
        let admin = Admin::new(control.addresses.admin);
        let authority = Authority::create(home.path())?;
        let bootstrap = authority.bootstrap(NAMESPACE, GREETER, control.addresses.xds)?;
        let mut endpoints = Vec::new();
        for version in ["v1", "v2"] {
            for number in 1..=ENDPOINTS_PER_VERSION {
                endpoints.push(Endpoint::start(format!("{version}-{number}"), version, &bootstrap).await?);
            }
        }
        folder.write_service(&endpoints)?;
        folder.write_split(90)?;
        let until = Instant::now() + CONFIGURATION_LIMIT;
        while admin.objects().await? < OBJECTS {
            if Instant::now() > until {
                bail!("the control-server has not read the configuration after {CONFIGURATION_LIMIT:?}");
            }
            sleep(Duration::from_millis(20)).await;
        }
        screen.say(&format!(
            "{} endpoints and a control-server run; calls go to xds:///{SERVICE}:{PORT}, {rate} a second",
            endpoints.len()
        ));
        let front = authority.bootstrap(CALLERS, FRONT, control.addresses.xds)?;
        let load = Load::start(channel(&front)?, rate);
        let summary = Summary::default();
        Ok(Self {
            screen,
            endpoints,
            control,
            load,
            folder,
            admin,
            summary,
            start,
            home,
            authority,
            bootstrap,
        })
    }

    /// Starts an endpoint again, where it was.
    pub(crate) async fn restart_endpoint(&mut self, index: usize) -> Result<()> {
        self.endpoints[index].restart(&self.bootstrap).await
    }

    /// Writes the object that makes the whole mesh use mutual TLS, and who may call.
    pub(crate) fn secure(&self) -> Result<()> {
        self.folder.write_security()
    }

    /// A client with another account than the one that may call.
    pub(crate) fn stranger(&self) -> Result<GreeterClient<MeshChannel>> {
        let bootstrap = self.authority.bootstrap(CALLERS, STRANGER, self.control.addresses.xds)?;
        Ok(GreeterClient::new(channel(&bootstrap)?))
    }

    /// The error of a call without TLS, past the mesh; `None`: it is answered.
    pub(crate) async fn call_in_plaintext(&self) -> Result<Option<Status>> {
        let channel = MeshChannel::to_endpoints("plaintext", [self.endpoints[1].address])?;
        Ok(GreeterClient::new(channel).say_hello(HelloRequest::default()).await.err())
    }

    /// Edits the route: so many of a hundred calls to v1.
    pub(crate) fn edit_split(&self, v1: u32) -> Result<()> {
        self.folder.write_split(v1)
    }

    /// Makes a spelling mistake in the route.
    pub(crate) fn break_yaml(&self) -> Result<()> {
        self.folder.write_mistake()
    }

    /// Starts the control-server again, where it was.
    pub(crate) async fn restart_control(&mut self) -> Result<()> {
        self.control.restart(self.home.path()).await
    }

    /// Waits until calls are split as asked for, as their caller sees it.
    pub(crate) async fn await_split(&mut self, v1_percent: u32, patience: Duration) -> Result<()> {
        let until = Instant::now() + patience;
        loop {
            sleep(GLANCE).await;
            let glance = self.load.take();
            let seen = Phase::new("", v1_percent, glance.clone());
            self.summary.count(glance);
            if !seen.requests_by_version.is_empty()
                && (seen.v1_percent - f64::from(v1_percent)).abs() < ROUGHLY
            {
                return Ok(());
            }
            if Instant::now() > until {
                bail!(
                    "{:.0} % of the calls go to v1 {patience:?} after {v1_percent} % were asked for",
                    seen.v1_percent
                );
            }
        }
    }

    /// What the control-server says is wrong with the configuration.
    pub(crate) async fn complaint(&self) -> Result<Option<String>> {
        self.admin.first_error().await
    }

    /// Puts the calls that ended between two chapters on the account of the whole story.
    pub(crate) fn settle(&mut self) {
        let between = self.load.take();
        self.summary.count(between);
    }

    /// Ends a chapter.
    pub(crate) fn finish(&mut self, name: &'static str, v1_percent: u32, tally: Tally) {
        self.summary.count(tally.clone());
        let phase = Phase::new(name, v1_percent, tally);
        if !phase.split_holds() {
            self.summary.problems.push(format!(
                "{}: {:.1} % of the calls went to v1 instead of {} %",
                phase.name, phase.v1_percent, phase.v1_percent_wanted
            ));
        }
        self.summary.phases.push(phase);
    }

    /// The summary, at the end of the story or wherever it broke off.
    pub(crate) fn summarise(&mut self, broken: Option<anyhow::Error>) -> &Summary {
        self.settle();
        self.summary.problems.extend(broken.map(|error| format!("{error:#}")));
        self.summary.finish(self.start.elapsed());
        &self.summary
    }

    /// Where everything is and what to try.
    pub(crate) fn directions(&self) -> String {
        let Addresses { xds, admin } = self.control.addresses;
        let folder = self.folder.path().display();
        let meshctl = "cargo run --release -p control-server --bin meshctl --";
        let mut text = format!(
            "\nAll keeps running until Ctrl-C.\n\
             \x20 configuration   {folder}: edit route.yaml and watch the calls follow\n\
             \x20 xDS             {xds}\n\
             \x20 admin API       curl http://{admin}/v1/clients\n\
             \x20 meshctl         {meshctl} status --admin {admin}\n\
             \x20 another client  export GRPC_XDS_BOOTSTRAP_CONFIG=\"$({meshctl} bootstrap --lang python --xds {xds})\"\n\
             \x20                 and call xds:///{SERVICE}:{PORT}\n\
             \x20 kill -9 {:<7} the control-server; it stays away, and the calls go on\n",
            self.control.id().unwrap_or_default()
        );
        for endpoint in &self.endpoints {
            let (id, Endpoint { name, address, .. }) = (endpoint.id().unwrap_or_default(), endpoint);
            let _ = writeln!(text, "  kill -9 {id:<7} endpoint {name} at {address}");
        }
        text + "\n"
    }

    /// Shows the calls, second by second, for ever.
    pub(crate) async fn keep(&mut self) {
        loop {
            sleep(Duration::from_secs(1)).await;
            let mut second = self.load.take();
            self.screen.show(&self.endpoints, &mut second);
        }
    }
}

/// What a service does to join the mesh.
fn channel(bootstrap: &Path) -> Result<MeshChannel> {
    let bootstrap = Bootstrap::from_json(&std::fs::read_to_string(bootstrap)?)?;
    let mesh = Mesh::new(xds_client::start(bootstrap)?);
    Ok(MeshChannel::builder(format!("xds:///{SERVICE}:{PORT}")).mesh(&mesh).build()?)
}
