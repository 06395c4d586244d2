//! A machine of its own for a server, behind a cable that can be pulled.

use std::io::Write as _;
use std::net::{IpAddr, Ipv4Addr};
use std::process::Command;

/// A network namespace with one cable to the tests'. Dropping it removes both.
#[derive(Debug)]
pub struct Network {
    name: String,
    /// Of the machine inside.
    pub address: IpAddr,
}

impl Network {
    /// Makes one. Where that is not possible, because it takes root on Linux and the command `ip`, there is `None` and a
    /// warning that no test runner swallows; the test then returns.
    ///
    /// # Panics
    /// Where it is not possible and `MESH_INTEROP=required` is set, as in CI.
    pub fn start(test: &str) -> Option<Self> {
        let [_, _, high, low] = std::process::id().to_be_bytes();
        // A link-local network with two machines, and names that no other test has.
        let [outside, inside] =
            [1, 2].map(|machine| Ipv4Addr::new(169, 254, high.clamp(1, 254), low & !3 | machine));
        let network = Self { name: format!("mesh{}", std::process::id()), address: inside.into() };
        let (name, near) = (&network.name, network.near());
        let commands = [
            format!("netns add {name}"),
            format!("link add {near} address {NEAR} type veth peer name far address {FAR} netns {name}"),
            format!("addr add {outside}/30 dev {near}"),
            format!("link set {near} up"),
            // Without it, a cable that is pulled is noticed for want of answers to ARP.
            format!("neigh add {inside} lladdr {FAR} dev {near} nud permanent"),
            format!("-n {name} addr add {inside}/30 dev far"),
            format!("-n {name} link set far up"),
            format!("-n {name} link set lo up"),
            format!("-n {name} neigh add {outside} lladdr {NEAR} dev far nud permanent"),
        ];
        let Err(problem) = commands.iter().try_for_each(|command| ip(command)) else { return Some(network) };
        let missing = format!("test DID NOT RUN ({test}): it needs root on Linux and iproute2; {problem}");
        assert!(std::env::var_os(SWITCH).is_none_or(|value| value != "required"), "{missing}");
        // Not `eprintln`: its output is shown of failed tests only.
        drop(writeln!(std::io::stderr(), "\nWARNING: {missing}\n"));
        None
    }

    /// What to put in front of a command, so that it runs inside.
    pub fn front(&self) -> [&str; 4] {
        ["ip", "netns", "exec", &self.name]
    }

    /// Pulls the cable: packets are lost, and no side gets an error.
    ///
    /// # Panics
    /// When it cannot be pulled.
    pub fn cut(&self) {
        self.set_cable("down");
    }

    /// Plugs it in again.
    ///
    /// # Panics
    /// When it cannot be plugged in.
    pub fn mend(&self) {
        self.set_cable("up");
        // What was learned by hand goes with the cable.
        let [outside, inside] = self.machines();
        for command in [
            format!("neigh replace {inside} lladdr {FAR} dev {} nud permanent", self.near()),
            format!("-n {} neigh replace {outside} lladdr {NEAR} dev far nud permanent", self.name),
        ] {
            ip(&command).expect("the network is ours");
        }
    }

    fn set_cable(&self, state: &str) {
        ip(&format!("-n {} link set far {state}", self.name)).expect("the network is ours");
    }

    fn machines(&self) -> [IpAddr; 2] {
        let IpAddr::V4(inside) = self.address else { return [self.address; 2] };
        [Ipv4Addr::from_bits(inside.to_bits() - 1).into(), inside.into()]
    }

    /// The cable's end on this side; fifteen letters at most.
    fn near(&self) -> &str {
        &self.name
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        // The other end of the cable goes with it, and so does the namespace with its last process.
        for command in [format!("link del {}", self.near()), format!("netns del {}", self.name)] {
            drop(ip(&command));
        }
    }
}

fn ip(arguments: &str) -> Result<(), String> {
    let output =
        Command::new("ip").args(arguments.split(' ')).output().map_err(|error| format!("ip: {error}"))?;
    match output.status.success() {
        true => Ok(()),
        false => Err(format!("ip {arguments}: {}", String::from_utf8_lossy(&output.stderr).trim())),
    }
}

const SWITCH: &str = "MESH_INTEROP";
const NEAR: &str = "02:00:00:00:00:01";
const FAR: &str = "02:00:00:00:00:02";
