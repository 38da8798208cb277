//! A thief has the daemon's state database, copied while it ran, but not the key file: nothing in it opens anything.
//!
//! What the thief does is done a second time with the key file, and then it works: so these attacks can succeed.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use evenkeel::base::secret::{KeyPlace, MasterKey, Secret};
use evenkeel::wire::signing::{ConnectionKeys, RootKey};
use serde_json::json;

use crate::attacks::signing::{LIST, giving};
use crate::peer::stranger::{Stranger, hash};
use crate::support::daemon::Site;
use crate::support::http::Request;
use crate::support::signer::Key;
use crate::support::{postgres, sqlite};

const PASSWORD: &str = "correct horse battery staple";

/// What a thief found in a copy of the state.
struct Loot {
    /// Every value of every table, as text.
    texts: BTreeSet<String>,
    /// The identifiers of the connections.
    connections: Vec<String>,
}

/// Copies the files of a running site's state.
fn steal(site: &Site, to: &Path) -> PathBuf {
    for file in ["state.db", "state.db-wal", "state.db-shm"] {
        let from = site.folder().join(file);
        if from.exists() {
            std::fs::copy(from, to.join(file)).expect("a copy");
        }
    }
    to.join("state.db")
}

fn read(copy: &Path) -> Loot {
    let names = |sql: &str| -> Vec<String> {
        let found = sqlite::query(copy, sql);
        found.lines().map(str::to_owned).collect()
    };
    let tables = names("select name from sqlite_master where type = 'table'");
    let mut texts = BTreeSet::new();
    for table in tables {
        for column in names(&format!("select name from pragma_table_info('{table}')")) {
            let sql =
                format!("select \"{column}\" from \"{table}\" where \"{column}\" is not null");
            texts.extend(names(&sql));
        }
    }
    Loot {
        texts,
        connections: names("select id from connection"),
    }
}

/// What the copy gives to somebody who holds `key`: whatever opens with it.
fn opened(loot: &Loot, key: &MasterKey) -> Vec<Secret<String>> {
    let columns = ["token_hash", "token", "root_key"];
    let places = loot.connections.iter().flat_map(|id| {
        let of = move |column: &str| format!("connection/{id}/{column}");
        columns.map(of)
    });
    let places: Vec<String> = places.collect();
    let all = loot.texts.iter().flat_map(|text| {
        let open = |place: &String| key.open(place, text).ok();
        places.iter().filter_map(open)
    });
    all.collect()
}

fn asks(site: &Site, request: &Request) -> u16 {
    site.peer(request).expect("an answer").status
}

/// How many of `values` get somebody in, tried in every way a value can be.
fn entries(site: &Site, names: &[&str], values: &[String]) -> (usize, usize) {
    let (mut tries, mut successes) = (0, 0);
    let mut count = |status: u16| {
        tries += 1;
        successes += usize::from(status == 200);
    };
    for value in values {
        let login = Request::new("GET", "/api/v1/site")
            .header("authorization", &format!("Bearer {}", printable(value)));
        count(login.send(&site.admin_address()).expect("an answer").status);
        for body in [
            json!({"auth_token_hash": value}),
            json!({"auth_token_hash": hash(value)}),
        ] {
            count(asks(site, &Request::new("POST", LIST).json(&body)));
        }
    }
    let roots = values
        .iter()
        .filter_map(|value| RootKey::from_text(&Secret::new(value.clone())));
    let pairs = roots.flat_map(|root| names.iter().map(move |name| (root.clone(), *name)));
    for (nonce, (root, name)) in (0..).zip(pairs) {
        let key = Key {
            token: String::new(),
            name: name.to_owned(),
            keys: ConnectionKeys::derive(&root, 1),
        };
        count(asks(
            site,
            &key.sign(LIST, &key.body(json!({})), nonce, 0).0,
        ));
    }
    (tries, successes)
}

/// As a header may carry it.
fn printable(text: &str) -> String {
    text.chars().filter(char::is_ascii_graphic).collect()
}

#[test]
fn a_copy_of_the_state_without_the_key_file_opens_nothing() {
    let (site, keys, _strangers) = giving();
    let unsigned = Stranger::start();
    let offer = json!({"url": unsigned.url(), "name": "porto", "grant": {"tables": ["notes"]}});
    site.post("/connections", &offer).expect(201);
    let set = json!({"incoming_mode": "require_password", "incoming_password": PASSWORD});
    site.admin("PATCH", "/settings", Some(&set)).expect(200);
    let folder = tempfile::tempdir().expect("a folder");
    let copy = steal(&site, folder.path());
    let loot = read(&copy);
    assert!(
        loot.connections.len() == 3 && loot.texts.len() > 50,
        "{:?}",
        loot.texts
    );

    // None of the secrets is written anywhere, not even on a page that is free again.
    let bytes: Vec<u8> = ["state.db", "state.db-wal"]
        .iter()
        .flat_map(|file| std::fs::read(folder.path().join(file)).unwrap_or_default())
        .collect();
    let root = |key: &Key| {
        RootKey::of_token(&Secret::new(key.token.clone()))
            .to_text()
            .expose()
            .clone()
    };
    let secrets = [
        ("an admin token", site.token().to_owned()),
        ("its hash", hash(site.token())),
        ("the token of a signed connection", keys[0].token.clone()),
        ("its hash", keys[0].name.clone()),
        ("its root key", root(&keys[0])),
        ("the token of an unsigned connection", unsigned.token()),
        ("its hash, which is the password", unsigned.token_hash()),
        ("the incoming password", PASSWORD.to_owned()),
    ];
    for (what, secret) in &secrets {
        let found = bytes
            .windows(secret.len())
            .any(|window| window == secret.as_bytes());
        assert!(!found, "{what} stands in the state");
    }

    // What stands there is no token, no hash and no key, and no key it could be sealed with opens it.
    let names = [keys[0].name.as_str(), keys[1].name.as_str()];
    let texts: Vec<String> = loot.texts.iter().cloned().collect();
    let (mut tries, mut successes) = entries(&site, &names, &texts);
    let guesses = loot.texts.iter().filter_map(|text| {
        let bytes: [u8; 32] = hex::decode(text).ok()?.try_into().ok()?;
        Some(MasterKey::from_bytes(&bytes))
    });
    let guesses: Vec<MasterKey> = guesses.chain([MasterKey::from_bytes(&[0; 32])]).collect();
    for guess in &guesses {
        tries += 1;
        successes += opened(&loot, guess).len();
    }
    // A daemon on the copy does not start: neither without a key nor with another.
    for key in [None, Some("ab".repeat(32))] {
        tries += 1;
        successes += usize::from(serves(&copy, key.as_deref()));
    }
    println!("a stolen state: {tries} attacks, {successes} succeeded");
    assert_eq!(successes, 0);

    // The same with the key file.
    let place = KeyPlace::File(site.folder().join("secret.key"));
    let opened: Vec<String> = opened(&loot, &MasterKey::load(&place).expect("the key"))
        .iter()
        .map(|secret| secret.expose().clone())
        .collect();
    let (_, successes) = entries(&site, &names, &opened);
    assert!(
        successes >= 3,
        "two keys to sign with and a hash that is a password: {successes}"
    );
}

/// Whether a daemon of the thief's own works on the copy; one that does would not end.
fn serves(copy: &Path, key: Option<&str>) -> bool {
    let builder = Site::builder("thief").sqlite(|_| {});
    let builder = builder.state(&format!("sqlite://{}", copy.display()));
    if let Some(key) = key {
        let path = builder.folder().join("secret.key");
        std::fs::write(&path, key).expect("a key file");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&path, mode).expect("its mode");
    }
    let mut site = builder.build();
    site.spawn(&[]);
    site.wait().success()
}

#[test]
fn a_dump_of_a_state_in_postgresql_tells_no_more() {
    let url = postgres::shared().database();
    let site = Site::builder("berlin").sqlite(|_| {}).state(&url).start();
    let stranger = Stranger::start();
    let offer = json!({"url": stranger.url(), "name": "porto", "grant": {"tables": "*"}});
    site.post("/connections", &offer).expect(201);
    let all = "select string_agg(query_to_xml(format('select * from %I', tablename), true, false, '')::text, '')
        from pg_tables where schemaname = 'public'";
    let dump = postgres::query(&url, all);
    assert!(dump.contains("porto"), "{dump}");
    for secret in [
        stranger.token(),
        stranger.token_hash(),
        site.token().to_owned(),
    ] {
        assert!(!dump.contains(&secret), "{secret}");
    }
}
