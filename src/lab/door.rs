//! Getting into the estate's server: passwords, connections.

use std::collections::HashMap;
use std::net::Ipv4Addr;

use postgres_protocol::password::scram_sha_256;
use rand::RngExt;
use rand::distr::Alphanumeric;
use secrecy::{ExposeSecret, SecretString};
use tokio::task::JoinHandle;
use tokio_postgres::{Client, Config, NoTls};

/// The port and everybody's password.
#[derive(Debug)]
pub(super) struct Door {
    port: u16,
    keys: HashMap<String, SecretString>,
}

impl Door {
    pub fn new(port: u16, keys: HashMap<String, SecretString>) -> Self {
        Self { port, keys }
    }

    /// The port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The password of a login; `None` for a role that has none.
    pub fn key(&self, role: &str) -> Option<&SecretString> {
        self.keys.get(role)
    }

    /// Logs in.
    pub async fn open(&self, role: &str, database: &str, name: &str) -> Result<Link, tokio_postgres::Error> {
        let mut config = Config::new();
        config.host(Ipv4Addr::LOCALHOST.to_string()).port(self.port).user(role).dbname(database).application_name(name);
        if let Some(key) = self.key(role) {
            config.password(key.expose_secret());
        }
        let (client, connection) = config.connect(NoTls).await?;
        // What ends the connection is reported by the client's next statement.
        let driver = tokio::spawn(async move { drop(connection.await) });
        Ok(Link { client, driver })
    }
}

/// A connection; it closes with this value.
#[derive(Debug)]
pub(super) struct Link {
    pub client: Client,
    driver: JoinHandle<()>,
}

impl Drop for Link {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// A password that nobody has to remember.
pub(super) fn password() -> SecretString {
    let text: String = rand::rng().sample_iter(Alphanumeric).take(32).map(char::from).collect();
    text.into()
}

/// What the server keeps of a password, computed here so that the password stands in no statement and no log.
pub(super) fn verifier(password: &SecretString) -> String {
    scram_sha_256(password.expose_secret().as_bytes())
}
