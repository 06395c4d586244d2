//! What README.md shows works as it stands there.

use std::path::Path;

use control_server::state::PipelineState;
use tests::{ConfigDir, ControlServer, eventually};

/// The fenced blocks of `language`, joined as documents.
fn blocks(page: &str, language: &str) -> String {
    let opening = format!("```{language}\n");
    let blocks: Vec<_> = page.split(&opening).skip(1).filter_map(|rest| rest.split("```").next()).collect();
    blocks.join("---\n")
}

#[tokio::test]
async fn the_configuration_in_the_readme_is_accepted() {
    let readme = Path::new(env!("CARGO_MANIFEST_DIR")).join("../README.md");
    let yaml = blocks(&std::fs::read_to_string(readme).unwrap(), "yaml");
    assert!(!yaml.is_empty());
    let config = ConfigDir::new();
    config.write("readme.yaml", &yaml);
    let control = ControlServer::start(config).await;
    let state: PipelineState = eventually("the files are read", async || {
        let state: PipelineState = control.admin("/v1/config").await;
        if state.synced { Ok(state) } else { Err(format!("{state:?}")) }
    })
    .await;
    assert!(state.diagnostics.is_empty(), "{:?}", state.diagnostics);
    assert_eq!(state.objects.len(), 3, "{:?}", state.objects);
}
