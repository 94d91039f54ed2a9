//! The Vault client: one contract, against a real OpenBao and against the estate's stand-in; and what only the real one does.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "support/mod.rs"]
mod support;

use std::collections::BTreeMap;
use std::time::Duration;

use secrecy::{ExposeSecret as _, SecretString};
use support::bao::{Bao, ROOT};
use support::skipped::skipped;
use tierdeck::clients::vault::{Auth, Expected, Fields, Place, Vault, VaultError, VersionState};
use tierdeck::lab::VaultStand;

const PATH: &str = "tenants/acme/db";

fn place(url: &str) -> Place {
    Place {
        address: url.to_owned(),
        namespace: None,
        mount: "secret".to_owned(),
        ca_cert: None,
        timeout: Duration::from_secs(10),
    }
}

fn vault(url: &str, token: &str) -> Vault {
    Vault::new(place(url), Auth::Token(SecretString::from(token)))
}

/// OpenBao, or a word that it was not there.
fn bao(test: &str) -> Option<Bao> {
    let bao = Bao::start();
    if bao.is_none() {
        skipped(&format!("{test}: no bao on PATH (make install-test fetches one)"));
    }
    bao
}

fn fields(host: &str) -> Fields {
    Fields::default().with("host", host).with("port", 5432).with("password", "hunter2")
}

/// What both must do.
async fn contract(url: &str) {
    let vault = vault(url, ROOT);
    assert!(vault.read(PATH).await.unwrap().is_none());
    assert_eq!(vault.metadata(PATH).await.unwrap(), None);
    assert_eq!(vault.list("tenants").await.unwrap(), [""; 0]);

    // The first one is written only where there is none.
    assert_eq!(vault.write(PATH, &fields("one"), Expected::Nothing).await, Ok(1));
    let lost = vault.write(PATH, &fields("two"), Expected::Nothing).await;
    assert_eq!(lost, Err(VaultError::Changed { path: PATH.to_owned(), expected: 0 }));
    let read = vault.read(PATH).await.unwrap().unwrap();
    assert_eq!((read.version, read.fields.text("host").as_deref()), (1, Some("one")));
    assert_eq!((read.fields.text("port").as_deref(), read.fields.text("user")), (Some("5432"), None));
    assert_eq!(read.fields.secret("password").unwrap().expose_secret(), "hunter2");
    assert!(!format!("{read:?}").contains("hunter2"), "{read:?}");
    assert_eq!(read.fields, fields("one"));

    // Each later one on the version that was read.
    assert_eq!(vault.write(PATH, &fields("two"), Expected::Version(1)).await, Ok(2));
    let lost = vault.write(PATH, &fields("three"), Expected::Version(1)).await;
    assert_eq!(lost, Err(VaultError::Changed { path: PATH.to_owned(), expected: 1 }));
    assert_eq!(vault.read(PATH).await.unwrap().unwrap().fields.text("host").as_deref(), Some("two"));
    assert_eq!(vault.read_version(PATH, 1).await.unwrap().unwrap().fields.text("host").as_deref(), Some("one"));
    assert!(vault.read_version(PATH, 3).await.unwrap().is_none());

    // Whose it is.
    let mine = BTreeMap::from([("tierdeck-operation".to_owned(), "op-1".to_owned())]);
    vault.describe(PATH, &mine).await.unwrap();
    let known = vault.metadata(PATH).await.unwrap().unwrap();
    assert_eq!((known.current, &known.custom), (2, &mine));
    assert_eq!(known.versions, BTreeMap::from([(1, VersionState::There), (2, VersionState::There)]));
    assert_eq!(vault.read(PATH).await.unwrap().unwrap().custom, mine);
    assert_eq!(known.delete_version_after, "0s");
    let ago = known.written.map(|at| jiff::Timestamp::now().duration_since(at).as_secs());
    assert!(ago.is_some_and(|ago| (0..60).contains(&ago)) && known.ends.is_none(), "{known:?}");
    assert_eq!(vault.read(PATH).await.unwrap().unwrap().written, known.written);

    // Deleted is not gone, and not free either.
    vault.delete(PATH, 2).await.unwrap();
    assert!(vault.read(PATH).await.unwrap().is_none());
    assert_eq!(vault.metadata(PATH).await.unwrap().unwrap().versions[&2], VersionState::Deleted);
    let lost = vault.write(PATH, &fields("x"), Expected::Nothing).await;
    assert_eq!(lost, Err(VaultError::Changed { path: PATH.to_owned(), expected: 0 }));
    vault.undelete(PATH, 2).await.unwrap();
    assert_eq!(vault.read(PATH).await.unwrap().unwrap().version, 2);

    assert_eq!(vault.write("tenants/globex/db", &fields("g"), Expected::Nothing).await, Ok(1));
    assert_eq!(vault.list("tenants").await.unwrap(), ["acme/", "globex/"]);
    assert_eq!(vault.list("tenants/acme").await.unwrap(), ["db"]);

    vault.remove(PATH).await.unwrap();
    vault.remove(PATH).await.unwrap();
    assert_eq!(vault.metadata(PATH).await.unwrap(), None);
    assert_eq!(vault.write(PATH, &fields("again"), Expected::Nothing).await, Ok(1));
    vault.remove(PATH).await.unwrap();

    // A path is a path of a secret, and nothing else.
    for bad in ["tenants/../sys/seal", "a?version=1", "/a", ""] {
        assert!(matches!(vault.read(bad).await, Err(VaultError::Setup(_))), "{bad:?}");
    }
    // A mount that is not there, and a token that nobody knows.
    let elsewhere = Place { mount: "nowhere".to_owned(), ..place(url) };
    let elsewhere = Vault::new(elsewhere, Auth::Token(SecretString::from(ROOT)));
    let said = elsewhere.write(PATH, &fields("x"), Expected::Nothing).await;
    assert_eq!(said, Err(VaultError::Mount { mount: "nowhere".to_owned() }));
    let stranger = self::vault(url, "s.nobody");
    assert_eq!(stranger.read(PATH).await.unwrap_err(), VaultError::Token);
}

#[tokio::test]
async fn the_contract_holds_for_the_stand_in() {
    let stand = VaultStand::start(SecretString::from(ROOT)).await.unwrap();
    contract(&stand.url()).await;
}

#[tokio::test]
async fn the_contract_holds_for_openbao() {
    let Some(bao) = bao("the contract") else { return };
    contract(&bao.url()).await;
}

const DECK: &str = "path \"secret/data/tenants/*\" { capabilities = [\"create\", \"read\", \"update\"] }\n";

#[tokio::test]
async fn approle_logs_in_again_when_its_token_has_ended() {
    let Some(bao) = bao("AppRole") else { return };
    bao.policy("deck", DECK);
    bao.does(&["auth", "enable", "approle"]);
    bao.does(&["write", "auth/approle/role/deck", "token_policies=deck", "token_ttl=4s", "token_max_ttl=6s"]);
    let role_id = bao.does(&["read", "-field=role_id", "auth/approle/role/deck/role-id"]);
    let secret_id = bao.does(&["write", "-force", "-field=secret_id", "auth/approle/role/deck/secret-id"]);
    let auth = |secret_id: &str| Auth::AppRole {
        mount: "approle".to_owned(),
        role_id: role_id.clone(),
        secret_id: SecretString::from(secret_id),
    };
    let vault = Vault::new(place(&bao.url()), auth(&secret_id));
    assert_eq!(vault.write(PATH, &fields("one"), Expected::Nothing).await, Ok(1));
    // Longer than any of its tokens can live.
    let begun = std::time::Instant::now();
    let mut reads = 0;
    while begun.elapsed() < Duration::from_secs(13) {
        assert_eq!(vault.read(PATH).await.unwrap().unwrap().version, 1);
        reads += 1;
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert!(reads > 10);
    // Revoked by somebody: the next call logs in anew.
    bao.does(&["token", "revoke", "-mode=path", "auth/approle"]);
    assert_eq!(vault.read(PATH).await.unwrap().unwrap().version, 1);

    // What the policy leaves out is told as that, not as a login that ended.
    let said = vault.remove(PATH).await.unwrap_err();
    assert_eq!(said, VaultError::Denied { doing: "remove", path: PATH.to_owned() });
    let said = Vault::new(place(&bao.url()), auth("wrong")).read(PATH).await.unwrap_err();
    assert!(matches!(&said, VaultError::Login { method: "AppRole", .. }), "{said:?}");
    assert!(!said.to_string().contains("wrong"), "{said}");
}

#[tokio::test]
async fn a_token_is_renewed_and_its_end_is_told() {
    let Some(bao) = bao("tokens") else { return };
    bao.policy("deck", DECK);
    let token = |more: &[&str]| bao.does(&[&["token", "create", "-policy=deck", "-field=token"], more].concat());
    let lasting = vault(&bao.url(), &token(&["-period=6s"]));
    let ending = vault(&bao.url(), &token(&["-ttl=5s", "-explicit-max-ttl=5s"]));
    assert!(lasting.read(PATH).await.unwrap().is_none());
    assert!(ending.read(PATH).await.unwrap().is_none());
    let begun = std::time::Instant::now();
    while begun.elapsed() < Duration::from_secs(13) {
        assert!(lasting.read(PATH).await.unwrap().is_none(), "after {:?}", begun.elapsed());
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let said = ending.read(PATH).await.unwrap_err();
    assert_eq!(said, VaultError::Token);
    assert!(said.to_string().contains("log in again"), "{said}");
}

#[tokio::test]
async fn sealed_gone_and_silent_are_told_apart() {
    let Some(mut bao) = bao("a sealed Vault") else { return };
    let vault = vault(&bao.url(), ROOT);
    assert_eq!(vault.write(PATH, &fields("one"), Expected::Nothing).await, Ok(1));
    bao.does(&["operator", "seal"]);
    assert_eq!(vault.read(PATH).await.unwrap_err(), VaultError::Sealed(bao.url()));
    assert_eq!(vault.write(PATH, &fields("x"), Expected::Version(1)).await, Err(VaultError::Sealed(bao.url())));
    bao.kill();
    assert!(matches!(vault.read(PATH).await.unwrap_err(), VaultError::Unreachable { .. }));

    // It listens and says nothing.
    let silent = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", silent.local_addr().unwrap());
    let place = Place { timeout: Duration::from_millis(300), ..place(&url) };
    let said = Vault::new(place, Auth::Token(SecretString::from(ROOT))).read(PATH).await.unwrap_err();
    assert!(matches!(said, VaultError::Timeout { .. }), "{said:?}");
}

/// A token goes to where it was sent, and nowhere else, whatever an answer says; and what a balancer says is not what Vault says.
#[tokio::test]
async fn no_redirect_is_followed_and_only_vault_says_that_it_is_sealed() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    let thief = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let elsewhere = thief.local_addr().unwrap();
    for (answer, is) in [
        (format!("307 Temporary Redirect\r\nLocation: http://{elsewhere}/v1/secret/data/x"), "standby"),
        ("503 Service Unavailable".to_owned(), "HTTP 503"),
        ("429 Too Many Requests".to_owned(), "HTTP 429"),
    ] {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let serving = tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                let mut heard = [0; 4096];
                let _ = socket.read(&mut heard).await;
                let text = format!("HTTP/1.1 {answer}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
                let _ = socket.write_all(text.as_bytes()).await;
            }
        });
        let said = vault(&url, ROOT).write(PATH, &fields("x"), Expected::Nothing).await.unwrap_err();
        assert!(said.to_string().contains(is), "{said}");
        serving.abort();
    }
    let came = tokio::time::timeout(Duration::from_millis(200), thief.accept()).await;
    assert!(came.is_err(), "somebody came to where the redirect pointed");
}

#[tokio::test]
async fn a_token_that_may_not_look_itself_up_works() {
    let Some(bao) = bao("a token without the default policy") else { return };
    bao.policy("deck", DECK);
    let token = bao.does(&["token", "create", "-policy=deck", "-no-default-policy", "-field=token"]);
    let vault = vault(&bao.url(), &token);
    assert_eq!(vault.write(PATH, &fields("one"), Expected::Nothing).await, Ok(1));
    assert_eq!(vault.read(PATH).await.unwrap().unwrap().version, 1);
}

#[tokio::test]
async fn a_configuration_that_cannot_work_is_said_to_be_one() {
    for (address, token) in [("vault:8200", ROOT), ("http://:80", ROOT), ("", ROOT), ("http://localhost:1", "a\nb")] {
        let said = vault(address, token).read(PATH).await.unwrap_err();
        let VaultError::Setup(words) = &said else { panic!("{address}: {said:?}") };
        assert!(!words.contains('\n'), "{words}");
    }
    let place = Place { ca_cert: Some("/no/such.pem".into()), ..place("https://127.0.0.1:1") };
    let said = Vault::new(place, Auth::Token(SecretString::from(ROOT))).read(PATH).await.unwrap_err();
    assert!(matches!(&said, VaultError::Setup(words) if words.contains("/no/such.pem")), "{said:?}");
}
