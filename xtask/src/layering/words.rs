//! What may not be said where.

use super::Violation;
use crate::source::{Source, has_word};

/// Which lines a rule reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reads {
    /// Code, of tests too.
    AllCode,
    /// Code outside tests: a test may, for example, take a moment to begin its virtual time at.
    Code,
    Comments,
}

/// Words that are forbidden in some places.
struct Rule {
    /// Path prefixes; empty: everywhere.
    within: &'static [&'static str],
    /// Path prefixes that are left out.
    except: &'static [&'static str],
    reads: Reads,
    words: &'static [&'static str],
    /// Longer phrases with such a word in them that are allowed.
    unless: &'static [&'static str],
    why: &'static str,
}

/// Decisions: pure functions and state machines.
const PURE: &[&str] = &["mesh-core/src/policy/", "xds-client/src/protocol/"];

const RULES: &[Rule] = &[
    Rule {
        within: PURE,
        except: &[],
        reads: Reads::AllCode,
        words: &["tokio", "tracing", "log::"],
        unless: &[],
        why: "policy and protocol decide; they do not wait and do not log",
    },
    Rule {
        within: PURE,
        except: &[],
        reads: Reads::Code,
        words: &["Instant::now", "SystemTime", "std::thread", "thread::"],
        unless: &[],
        why: "policy and protocol get the time as an argument and start nothing",
    },
    Rule {
        within: PURE,
        except: &[],
        reads: Reads::Code,
        words: &["rand::rng", "thread_rng", "rand::random", "ThreadRng"],
        unless: &[],
        why: "policy and protocol get randomness as an argument",
    },
    Rule {
        within: &["mesh-core/src/config/"],
        except: &[],
        reads: Reads::AllCode,
        words: &["tokio", "tracing", "crate::runtime"],
        unless: &[],
        why: "config is values; it knows nothing of where they are used",
    },
    Rule {
        within: &["mesh-core/src/policy/"],
        except: &[],
        reads: Reads::AllCode,
        words: &["crate::runtime", "crate::filter"],
        unless: &[],
        why: "policy knows nothing of the runtime that drives it, nor of the filters that ask it",
    },
    Rule {
        within: &["mesh-core/src/filter/"],
        except: &[],
        reads: Reads::AllCode,
        words: &["crate::runtime"],
        unless: &[],
        why: "a filter knows nothing of the runtime that calls it",
    },
    Rule {
        within: &["mesh-core/src/filter/"],
        except: &[],
        reads: Reads::AllCode,
        words: &["tokio"],
        unless: &["tokio::time", "tokio::test"],
        why: "a filter may wait for a time, and for nothing else of tokio",
    },
    Rule {
        within: &["mesh-core/src/lib.rs", "mesh-core/src/shared/"],
        except: &[],
        reads: Reads::AllCode,
        words: &["tokio"],
        unless: &[],
        why: "in mesh-core only the runtime has tokio, and a filter its time",
    },
    Rule {
        within: &["mesh-core/src/"],
        except: &["mesh-core/src/runtime/connect/http2/", "mesh-core/src/runtime/testing.rs"],
        reads: Reads::Code,
        words: &["h2::"],
        unless: &[],
        why: "the rest of mesh-core does not know the HTTP/2 library",
    },
    Rule {
        within: &["mesh-core/src/shared/"],
        except: &[],
        reads: Reads::AllCode,
        words: &["crate::config", "crate::policy", "crate::filter", "crate::runtime"],
        unless: &[],
        why: "shared is collections; they know nothing of what they hold",
    },
    Rule {
        within: &["xds-client/src/protocol/"],
        except: &[],
        reads: Reads::AllCode,
        words: &["crate::client", "crate::transport", "crate::dependency"],
        unless: &[],
        why: "protocol knows nothing of who drives it",
    },
    Rule {
        within: &["mesh-core/", "mesh-tonic/", "mesh-hyper/", "examples/", "benches/"],
        except: &[],
        reads: Reads::AllCode,
        words: &["xds_proto"],
        unless: &[],
        why: "inside a client only xds-client knows xDS protobuf",
    },
    Rule {
        within: &["mesh-core/", "mesh-tonic/src/", "mesh-hyper/"],
        except: &[],
        reads: Reads::AllCode,
        words: &["prost"],
        unless: &[],
        why: "no protobuf type in mesh-core, mesh-tonic or mesh-hyper",
    },
    Rule {
        within: &["mesh-core/", "mesh-hyper/"],
        except: &[],
        reads: Reads::AllCode,
        words: &["tonic"],
        unless: &[],
        why: "only mesh-tonic speaks tonic",
    },
    Rule {
        within: &["xds-client/src/"],
        except: &["xds-client/src/transport/", "xds-client/src/load_report/", "xds-client/src/status/"],
        reads: Reads::AllCode,
        words: &["tonic"],
        unless: &[],
        why: "in xds-client only the folders that hold a gRPC connection speak tonic",
    },
    Rule {
        within: &[],
        except: &[],
        reads: Reads::AllCode,
        words: &["#[ignore", "should_panic"],
        unless: &[],
        why: "a test that cannot run says so and fails; a panic is not a result",
    },
    Rule {
        within: &[],
        except: &[],
        reads: Reads::Comments,
        words: &["TODO", "FIXME", "XXX"],
        unless: &[],
        why: "what is left to do is an issue, not a comment",
    },
    Rule {
        within: &[],
        except: &["xtask/src/layering/"],
        reads: Reads::Comments,
        words: &[
            "nobody",
            "Nobody",
            "somebody",
            "Somebody",
            "anybody",
            "whoever",
            "Whoever",
            "whom",
            "Whom",
            "news",
            "News",
            "farewell",
            "let go of",
            "become of",
            "becomes of",
            "became of",
        ],
        unless: &[],
        why: "name the actor and what happens: the client, the server, a change, is dropped",
    },
];

pub(super) fn inspect(source: &Source) -> Vec<Violation> {
    let starts = |prefixes: &[&str]| prefixes.iter().any(|prefix| source.path.starts_with(prefix));
    let mut found = Vec::new();
    for rule in
        RULES.iter().filter(|rule| (rule.within.is_empty() || starts(rule.within)) && !starts(rule.except))
    {
        let lines = if rule.reads == Reads::Comments { &source.comments } else { &source.code };
        for (index, line) in lines.iter().enumerate() {
            if rule.reads == Reads::Code && source.is_test[index] {
                continue;
            }
            let line = rule.unless.iter().fold(line.clone(), |line, phrase| line.replace(phrase, ""));
            for word in rule.words.iter().filter(|word| has_word(&line, word)) {
                found.push(Violation::new(&source.path, index + 1, format!("`{word}`: {}", rule.why)));
            }
        }
    }
    found
}
