//! Logging in, and a connection that never makes its user wait for ever.

use std::collections::BTreeMap;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use rustls::ClientConfig;
use secrecy::{ExposeSecret as _, SecretString};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_postgres::tls::{MakeTlsConnect, TlsStream};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, NoTls, Row, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

use super::error::{ConnectError, Ending, Login, QueryError, Stage};
use super::socket::{self, Route, Socket};
use super::target::{Address, Host, Target};
use super::tls::SslMode;
use super::{Timeouts, lookup};
use crate::domain::foreign::sanitise;

/// How long a server may take to act on a cancel request, and we to send one.
const CANCEL: Duration = Duration::from_secs(1);

/// How long the end of a session may take.
const GOODBYE: Duration = Duration::from_secs(1);

/// A session. Dropped, it says goodbye and closes, within a second whatever the server does.
#[derive(Debug)]
pub struct Connection {
    client: Client,
    driver: JoinHandle<()>,
    /// Goes with the connection, which tells the driver's task to end.
    _open: oneshot::Sender<()>,
    ending: watch::Receiver<Option<Ending>>,
    way_back: WayBack,
    limit: Duration,
    server_version: String,
    database: String,
    user: String,
    defaults: BTreeMap<String, String>,
    warning: Option<String>,
}

/// What a cancel request needs.
#[derive(Debug, Clone)]
struct WayBack {
    route: Route,
    host_name: String,
    tls: Option<Arc<ClientConfig>>,
}

/// Connects and logs in. Without a password: `PGPASSWORD`, then the password file.
pub async fn connect(
    target: &Target,
    password: Option<SecretString>,
    timeouts: &Timeouts,
) -> Result<Connection, ConnectError> {
    connect_as(target, password, timeouts, Manner::Server).await
}

/// Connects to what speaks PostgreSQL's protocol and is none: the console of a pooler, which knows neither settings nor
/// prepared statements.
pub(in crate::clients) async fn connect_console(
    target: &Target,
    password: Option<SecretString>,
    timeouts: &Timeouts,
) -> Result<Connection, ConnectError> {
    connect_as(target, password, timeouts, Manner::Console).await
}

/// Connects with nothing of ours: no settings at the start and none afterwards, so that all that binds the session is its
/// login's own. Of `timeouts` only our patience counts.
pub async fn connect_bare(
    target: &Target,
    password: Option<SecretString>,
    timeouts: &Timeouts,
) -> Result<Connection, ConnectError> {
    connect_as(target, password, timeouts, Manner::Bare).await
}

/// How a session begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Manner {
    Server,
    Console,
    Bare,
}

/// What the server said to a statement, word for word.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Said {
    /// The first column of each row.
    Rows(Vec<String>),
    /// No.
    No {
        /// SQLSTATE.
        code: String,
        /// Its message.
        message: String,
    },
}

async fn connect_as(
    target: &Target,
    password: Option<SecretString>,
    timeouts: &Timeouts,
    manner: Manner,
) -> Result<Connection, ConnectError> {
    let tls = match target.tls.mode {
        SslMode::Disable => None,
        _ if target.hosts.iter().all(|host| matches!(host.address, Address::Socket(_))) => None,
        _ => Some(target.tls.client().map_err(|reason| ConnectError::TlsSetup { reason })?),
    };
    let limit = target.connect_timeout.unwrap_or(timeouts.connect);
    // A silent host must leave time for those after it.
    let each = limit / u32::try_from(target.hosts.len()).unwrap_or(1).max(1);
    let mut last = None;
    for host in &target.hosts {
        let attempt = Attempt { manner, ..Attempt::new(target, host, password.as_ref(), timeouts, tls.as_ref(), each) };
        match attempt.run().await {
            Ok(connection) => return Ok(connection),
            Err(error) if error.may_differ_by_host() => last = Some(error),
            Err(error) => return Err(error),
        }
    }
    Err(last.unwrap_or(ConnectError::Resolve { host: String::new(), reason: "the url names no host".to_owned() }))
}

/// One host, with a deadline.
struct Attempt<'a> {
    target: &'a Target,
    host: &'a Host,
    timeouts: &'a Timeouts,
    manner: Manner,
    tls: Option<&'a Arc<ClientConfig>>,
    password: Option<SecretString>,
    warning: Option<String>,
    login: Login<'a>,
    after: Duration,
    deadline: Instant,
}

impl<'a> Attempt<'a> {
    fn new(
        target: &'a Target,
        host: &'a Host,
        given: Option<&SecretString>,
        timeouts: &'a Timeouts,
        tls: Option<&'a Arc<ClientConfig>>,
        after: Duration,
    ) -> Self {
        let mut looked = vec!["the configuration's password".to_owned(), "PGPASSWORD".to_owned()];
        let mut warning = None;
        let (password, from) = match (given, &target.environment_password) {
            (Some(given), _) => (Some(given.clone()), looked[0].clone()),
            (None, Some(variable)) => (Some(variable.clone()), looked[1].clone()),
            (None, None) => {
                let found = target.passfile.as_deref().map(|path| {
                    looked.push(path.display().to_string());
                    lookup(path, host, &target.database, &target.user)
                });
                let found = found.unwrap_or_default();
                if let (Some(ignored), Some(last)) = (&found.warning, looked.last_mut()) {
                    last.clone_from(ignored);
                }
                warning = found.warning;
                (found.password, looked[looked.len() - 1].clone())
            }
        };
        let login = Login {
            address: host.to_string(),
            user: &target.user,
            database: &target.database,
            mode: target.tls.mode.name(),
            password_from: from,
            looked: looked.join(", "),
        };
        let (manner, deadline) = (Manner::Server, Instant::now() + after);
        Self { target, host, timeouts, manner, tls, password, warning, login, after, deadline }
    }

    async fn run(self) -> Result<Connection, ConnectError> {
        let routes = self.within(Stage::Resolving, socket::resolve(self.host)).await?;
        let mut last = None;
        for route in &routes {
            match self.route(route).await {
                Ok(connection) => return Ok(connection),
                // Only the socket may fail differently at the next address of the same name.
                Err(error @ (ConnectError::Refused { .. } | ConnectError::Unreachable { .. })) => last = Some(error),
                Err(error) => return Err(error),
            }
        }
        Err(last.unwrap_or_else(|| ConnectError::Resolve {
            host: self.host.to_string(),
            reason: "it has no address".to_owned(),
        }))
    }

    /// With or without TLS, in the order that the mode says.
    async fn route(&self, route: &Route) -> Result<Connection, ConnectError> {
        let tls = self.tls.filter(|_| matches!(route, Route::Tcp(_)));
        let order: &[Option<&Arc<ClientConfig>>] = match (self.target.tls.mode, tls) {
            (_, None) => &[None],
            (SslMode::Allow, tls) => &[None, tls],
            (SslMode::Prefer, tls) => &[tls, None],
            (_, tls) => &[tls],
        };
        let mut refused: Option<ConnectError> = None;
        for &tls in order {
            match (self.log_in(route, tls).await, refused) {
                (Ok(connection), _) => return Ok(connection),
                (Err(error), None) if error.may_differ_by_tls() => refused = Some(error),
                // The server has none: what it said without TLS is what counts.
                (Err(ConnectError::NoTls { .. }), Some(first)) => return Err(first),
                (Err(error @ ConnectError::NotAllowed { .. }), Some(first)) => {
                    return Err(if matches!(first, ConnectError::NoTls { .. }) { error } else { first });
                }
                (Err(error), _) => return Err(error),
            }
        }
        Err(refused.unwrap_or(ConnectError::Refused { address: self.host.to_string() }))
    }

    async fn log_in(&self, route: &Route, tls: Option<&Arc<ClientConfig>>) -> Result<Connection, ConnectError> {
        let opened = async { socket::open(route).await.map_err(|error| socket::open_error(self.host, route, &error)) };
        let socket = self.within(Stage::Connecting, opened).await?;
        let host_name = match &self.host.address {
            Address::Name(name) => name.clone(),
            Address::Socket(_) => String::new(),
        };
        let way_back = WayBack { route: route.clone(), host_name, tls: tls.cloned() };
        self.within(Stage::Login, self.start(socket, way_back)).await
    }

    async fn start(&self, socket: Socket, way_back: WayBack) -> Result<Connection, ConnectError> {
        let config = self.config(way_back.tls.is_some());
        let failed = |error: tokio_postgres::Error| ConnectError::from_driver(&error, &self.login);
        let (tell, ending) = watch::channel(None);
        let (open, dropped) = oneshot::channel();
        // The two branches differ in the type of their stream and in nothing else.
        let (client, driver, server_version) = match &way_back.tls {
            None => {
                let (client, connection) = config.connect_raw(socket, NoTls).await.map_err(failed)?;
                let version = connection.parameter("server_version").unwrap_or_default().to_owned();
                (client, tokio::spawn(drive(connection, tell, dropped)), version)
            }
            Some(tls) => {
                let connector = connector(tls, &way_back.host_name);
                let (client, connection) = config.connect_raw(socket, connector).await.map_err(failed)?;
                let version = connection.parameter("server_version").unwrap_or_default().to_owned();
                (client, tokio::spawn(drive(connection, tell, dropped)), version)
            }
        };
        let defaults = match self.manner {
            Manner::Server => self.timeouts.settle(&client).await.map_err(failed)?,
            Manner::Console | Manner::Bare => BTreeMap::new(),
        };
        Ok(Connection {
            client,
            driver,
            _open: open,
            ending,
            way_back,
            limit: self.timeouts.statement + self.timeouts.grace,
            server_version: sanitise(&server_version).into_owned(),
            database: self.target.database.clone(),
            user: self.target.user.clone(),
            defaults,
            warning: self.warning.clone(),
        })
    }

    fn config(&self, tls: bool) -> tokio_postgres::Config {
        use tokio_postgres::config::{ChannelBinding, SslMode as DriverMode};
        let mut config = tokio_postgres::Config::new();
        config
            .user(&self.target.user)
            .dbname(&self.target.database)
            .application_name(&self.target.application)
            .ssl_mode(if tls { DriverMode::Require } else { DriverMode::Disable });
        if self.manner == Manner::Server {
            config.options(self.timeouts.options());
        }
        if self.target.tls.require_binding {
            config.channel_binding(ChannelBinding::Require);
        }
        if let Some(password) = &self.password {
            config.password(password.expose_secret());
        }
        config
    }

    async fn within<T>(
        &self,
        stage: Stage,
        work: impl Future<Output = Result<T, ConnectError>>,
    ) -> Result<T, ConnectError> {
        timeout_at(self.deadline, work)
            .await
            .unwrap_or_else(|_| Err(ConnectError::Timeout { address: self.host.to_string(), stage, after: self.after }))
    }
}

type Connector = <MakeRustlsConnect as MakeTlsConnect<Socket>>::TlsConnect;

fn connector(tls: &Arc<ClientConfig>, host_name: &str) -> Connector {
    let mut maker = MakeRustlsConnect::new(ClientConfig::clone(tls));
    let Ok(connector) = MakeTlsConnect::<Socket>::make_tls_connect(&mut maker, host_name);
    connector
}

/// Talks to the socket until the session ends, and a little longer than anybody uses it.
async fn drive<T>(
    connection: tokio_postgres::Connection<Socket, T>,
    tell: watch::Sender<Option<Ending>>,
    dropped: oneshot::Receiver<()>,
) where
    T: TlsStream + Unpin,
{
    let mut connection = pin!(connection);
    let ended = tokio::select! {
        ended = &mut connection => ended,
        // Without the goodbye the server would log a broken connection, for every one of ours.
        _ = dropped => timeout(GOODBYE, &mut connection).await.unwrap_or(Ok(())),
    };
    let ending = match ended {
        Ok(()) => Ending { reason: "it was closed".to_owned(), code: None },
        Err(error) => Ending::from(&error),
    };
    // Nobody listens once the connection is dropped.
    let _ = tell.send(Some(ending));
}

impl Connection {
    /// The driver's client, to prepare statements with. What it is asked goes through [`Connection::run`].
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Asks, and gives up when the server is silent for longer than it may be.
    pub async fn query(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>, QueryError> {
        self.run(self.client.query(sql, parameters)).await
    }

    /// As [`Connection::query`], for exactly one row.
    pub async fn query_one(&self, sql: &str, parameters: &[&(dyn ToSql + Sync)]) -> Result<Row, QueryError> {
        self.run(self.client.query_one(sql, parameters)).await
    }

    /// Runs statements without parameters.
    pub async fn batch(&self, sql: &str) -> Result<(), QueryError> {
        self.run(self.client.batch_execute(sql)).await
    }

    /// Says something, and hands back what the server said to it. An error is an answer; that there is none is none.
    pub async fn say(&self, sql: &str) -> Result<Said, QueryError> {
        let work = async {
            match self.client.simple_query(sql).await {
                Ok(messages) => {
                    let rows = messages.iter().filter_map(|message| match message {
                        SimpleQueryMessage::Row(row) => Some(sanitise(row.get(0).unwrap_or("null")).into_owned()),
                        _ => None,
                    });
                    Ok(Said::Rows(rows.collect()))
                }
                Err(error) => match error.as_db_error() {
                    Some(said) => Ok(Said::No {
                        code: said.code().code().to_owned(),
                        message: sanitise(said.message()).into_owned(),
                    }),
                    None => Err(error),
                },
            }
        };
        self.run(work).await
    }

    /// Waits for what [`Connection::client`] was asked, at most the statement's time and the grace. One at a time: a
    /// cancel request hits whatever the session is doing.
    ///
    /// When that is over, the query is cancelled; when the server does not react to that either, the connection is dropped.
    pub async fn run<T>(&self, work: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T, QueryError> {
        let mut work = pin!(work);
        if let Ok(answer) = timeout(self.limit, &mut work).await {
            return match answer {
                Ok(answer) => Ok(answer),
                Err(error) => Err(self.explain(&error).await),
            };
        }
        let cancelled = timeout(CANCEL, self.cancel()).await.is_ok_and(|sent| sent);
        let reacted = cancelled && timeout(CANCEL, &mut work).await.is_ok();
        if !reacted {
            self.driver.abort();
        }
        Err(QueryError::Silent { after: self.limit, lost: !reacted })
    }

    /// Whether the session is over.
    pub fn is_closed(&self) -> bool {
        self.client.is_closed() || self.driver.is_finished()
    }

    /// Whether the session is encrypted.
    pub fn is_encrypted(&self) -> bool {
        self.way_back.tls.is_some()
    }

    /// `server_version`, as the server announces it: `15.18 (Debian 15.18-0+deb12u1)`.
    pub fn server_version(&self) -> &str {
        &self.server_version
    }

    /// The database.
    pub fn database(&self) -> &str {
        &self.database
    }

    /// The login.
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The timeouts that this login would have if we had set none.
    pub fn defaults(&self) -> &BTreeMap<String, String> {
        &self.defaults
    }

    /// Asks for nothing: how long that takes is the network's part of every answer.
    pub async fn ping(&self) -> Result<Duration, QueryError> {
        let asked = Instant::now();
        self.run(self.client.check_connection()).await?;
        Ok(asked.elapsed())
    }

    /// What the operator should know although the login worked: a password file that was ignored.
    pub fn warning(&self) -> Option<&str> {
        self.warning.as_deref()
    }

    async fn cancel(&self) -> bool {
        let token = self.client.cancel_token();
        let Ok(socket) = socket::open(&self.way_back.route).await else { return false };
        match &self.way_back.tls {
            None => token.cancel_query_raw(socket, NoTls).await.is_ok(),
            Some(tls) => token.cancel_query_raw(socket, connector(tls, &self.way_back.host_name)).await.is_ok(),
        }
    }

    async fn explain(&self, error: &tokio_postgres::Error) -> QueryError {
        if error.is_closed() {
            // The task that saw why is about to say so.
            let mut ending = self.ending.clone();
            let _ = timeout(Duration::from_millis(100), ending.wait_for(Option::is_some)).await;
        }
        let ending = self.ending.borrow().clone();
        QueryError::from_driver(error, ending.as_ref())
    }
}
