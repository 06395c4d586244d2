//! Instructions per call, counted by callgrind and compared with the committed figures in `instructions.json`.
//!
//! Times differ from run to run, instructions hardly: one thread, a fixed seed, connections that answer at once and touch no
//! socket. Only the calls are counted, not what sets them up. The figures belong to one compiler: with another one they are
//! shown, and not compared.
//!
//! ```sh
//! cargo bench -p benches --bench instructions             # compares; fails beyond 2 %
//! cargo bench -p benches --bench instructions -- --write  # writes the figures, to be committed with the change
//! ```

use std::collections::BTreeMap;
use std::hint::black_box;
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, bail, ensure};
use benches::call_path::{Path, Refusal, Routes};
use serde::{Deserialize, Serialize};

/// The committed figures.
#[derive(Debug, Serialize, Deserialize)]
struct Figures {
    /// The compiler whose code was counted.
    rustc: String,
    /// Instructions per call, those of building the request included.
    instructions: BTreeMap<String, u64>,
}

/// How a call of a row is made: with a path that was built on this runtime.
type Row = (&'static str, fn(&tokio::runtime::Runtime) -> Box<dyn Fn()>);

const BUILD_REQUEST: Row = ("build_request", |runtime| {
    let path = runtime.block_on(Path::build(Routes::Exact, 1, 10));
    Box::new(move || drop(black_box(path.request())))
});

const ROWS: [Row; 11] = [
    BUILD_REQUEST,
    ("call", |runtime| calling(runtime.block_on(Path::build(Routes::Exact, 1, 10)))),
    ("10000_prefixes", |runtime| calling(runtime.block_on(Path::build(Routes::Prefix, 10_000, 10)))),
    ("1000_endpoints", |runtime| calling(runtime.block_on(Path::build(Routes::Exact, 1, 1_000)))),
    ("load_reports", |runtime| calling(runtime.block_on(Path::build_reporting(Routes::Exact, 1, 10)))),
    ("three_filters", |runtime| calling(runtime.block_on(Path::build_filtered(Routes::Exact, 1, 10)))),
    ("refused_by_circuit_breaker", |runtime| refused(runtime, Refusal::CircuitBreaker)),
    ("dropped", |runtime| refused(runtime, Refusal::Dropped)),
    ("no_endpoint", |runtime| refused(runtime, Refusal::NoEndpoint)),
    ("no_route", |runtime| refused(runtime, Refusal::NoRoute)),
    ("waiting", |runtime| {
        let _entered = runtime.enter();
        let path = Path::build_waiting();
        Box::new(move || path.wait(path.request()))
    }),
];

fn calling(path: Path) -> Box<dyn Fn()> {
    Box::new(move || path.call(path.request()))
}

fn refused(runtime: &tokio::runtime::Runtime, refusal: Refusal) -> Box<dyn Fn()> {
    let path = runtime.block_on(Path::build_refusing(refusal));
    Box::new(move || path.refused(path.request(), refusal))
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        [RUN, name] => run(name)?,
        ["--write"] => {
            let figures = count()?;
            std::fs::write(file(), serde_json::to_string_pretty(&figures)? + "\n")?;
            show(&figures, None)?;
        }
        [] => return compare(),
        _ => bail!("arguments: none, or --write"),
    }
    Ok(ExitCode::SUCCESS)
}

/// Makes the calls of a row, in the process whose instructions are counted.
fn run(name: &str) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (_, build) = ROWS.iter().find(|(row, _)| *row == name).context("no row of this name")?;
    let call = build(&runtime);
    (0..WARM_UP).for_each(|_| call());
    make_counted_calls(&*call);
    Ok(())
}

/// Callgrind counts from its start to its end. Nothing else may have this name, not even a closure in it.
#[inline(never)]
fn make_counted_calls(call: &dyn Fn()) {
    for _ in 0..CALLS {
        call();
    }
}

fn compare() -> anyhow::Result<ExitCode> {
    let committed: Figures = serde_json::from_str(&std::fs::read_to_string(file())?)?;
    let counted = count()?;
    let far = show(&counted, Some(&committed))?;
    if counted.rustc != committed.rustc {
        let (now, then) = (&counted.rustc, &committed.rustc);
        say(format_args!("NOT COMPARED: this is {now}, the figures are of {then}; run it with -- --write"))?;
        return Ok(ExitCode::SUCCESS);
    }
    if far.is_empty() {
        return Ok(ExitCode::SUCCESS);
    }
    say(format_args!(
        "FAILED: more than {TOLERANCE} % from benches/benches/instructions.json: {}. If that is meant, for better or \
         worse, commit new figures: cargo bench -p benches --bench instructions -- --write",
        far.join(", ")
    ))?;
    Ok(ExitCode::FAILURE)
}

/// Counts every row in a process of its own.
fn count() -> anyhow::Result<Figures> {
    let rustc = Command::new("rustc").arg("--version").output().context("rustc --version")?;
    let rustc = format!("{}, {}", String::from_utf8(rustc.stdout)?.trim(), std::env::consts::ARCH);
    let instructions = ROWS.iter().map(|(name, _)| Ok(((*name).to_owned(), count_row(name)?)));
    Ok(Figures { rustc, instructions: instructions.collect::<anyhow::Result<_>>()? })
}

fn count_row(name: &str) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir()?;
    let profile = folder.path().join("callgrind.out");
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--toggle-collect=*make_counted_calls*"])
        .arg(format!("--callgrind-out-file={}", profile.display()))
        .arg(std::env::current_exe()?)
        .args([RUN, name])
        .output()
        .context(
            "NOT COUNTED: valgrind cannot be started; install it, for example with apt-get install valgrind",
        )?;
    let stderr = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{name}: valgrind ended with {}: {stderr}", output.status);
    let profile = std::fs::read_to_string(&profile)?;
    let total = profile.lines().find_map(|line| line.strip_prefix("totals: ")).context("no totals")?;
    let total: u64 = total.trim().parse()?;
    ensure!(total > CALLS, "{name}: callgrind has not seen the calls");
    Ok(total / CALLS)
}

/// Prints every row; returns those that are too far from the committed figures.
fn show(counted: &Figures, committed: Option<&Figures>) -> anyhow::Result<Vec<String>> {
    let mut far = Vec::new();
    let (build, _) = BUILD_REQUEST;
    let building = counted.instructions.get(build).copied().unwrap_or_default();
    for (name, now) in &counted.instructions {
        let beyond = now.saturating_sub(building);
        let before = committed.and_then(|committed| committed.instructions.get(name));
        let Some(before) = before else {
            say(format_args!("{name}: {now} instructions, {beyond} beyond building the request"))?;
            if committed.is_some() {
                far.push(name.clone());
            }
            continue;
        };
        say(format_args!("{name}: {now} instructions, {beyond} beyond building the request, was {before}"))?;
        if now.abs_diff(*before) * 100 > before * TOLERANCE {
            far.push(name.clone());
        }
    }
    let gone = committed.into_iter().flat_map(|committed| committed.instructions.keys());
    far.extend(gone.filter(|name| !counted.instructions.contains_key(*name)).cloned());
    Ok(far)
}

fn say(line: std::fmt::Arguments<'_>) -> std::io::Result<()> {
    writeln!(std::io::stdout(), "{line}")
}

fn file() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("benches/instructions.json")
}

/// The argument before a row's name.
const RUN: &str = "--run";

/// In percent.
const TOLERANCE: u64 = 2;

/// How many calls are counted.
const CALLS: u64 = 1_000;

/// How many calls are made before, so that all that is made once is there.
const WARM_UP: u32 = 2_000;
