//! What is left of an outage when it is over: nothing that the next one could be taken for.

use super::*;

fn of_servers(list: impl IntoIterator<Item = ServerId>) -> Client {
    Client::with(Settings {
        servers: ["primary", "secondary", "third"].map(ServerSettings::new).into(),
        default_authority: AuthoritySettings::new(list),
        authorities: Default::default(),
    })
}

#[test]
fn a_server_that_is_listed_twice_is_one() {
    for list in [vec![ONE, ONE], vec![ONE, TWO, ONE]] {
        let mut client = of_servers(list.clone());
        client.watch(CDS, "a");
        for server in &list[..list.len() - 1] {
            client.refuse_at(*server);
        }
        client.pass(300 * SECOND);
        client.open();
        client.sent();
        client.respond(CDS, "1", "n1", &[("a", Ok(1))]);
        assert_eq!(client.close_unwanted(), [0_usize; 0], "{list:?}");
        client.sent();
        client.watch(CDS, "b");
        assert_eq!(client.sent(), ["[a,b] 1/n1"], "{list:?}");
    }
}
