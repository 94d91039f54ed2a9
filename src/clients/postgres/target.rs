//! Where to connect and as whom: a URL and the `PG*` variables, read as libpq reads them. Never a password.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_decode_str;
use secrecy::SecretString;

use super::APPLICATION_NAME;
use super::passfile::lookup;
use super::tls::{SslMode, Tls};
use crate::clients::Environment;
use crate::domain::foreign::sanitise;
use crate::domain::spelling::did_you_mean;

/// Parameters that mean something here.
const KNOWN: [&str; 14] = [
    "host",
    "port",
    "dbname",
    "user",
    "password",
    "passfile",
    "sslmode",
    "ssl",
    "sslrootcert",
    "sslcert",
    "sslkey",
    "connect_timeout",
    "channel_binding",
    "sslnegotiation",
];
/// Parameters that a URL may carry over from elsewhere and that change nothing here.
const IGNORED: [&str; 9] = [
    "application_name",
    "fallback_application_name",
    "client_encoding",
    "gssencmode",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
];
/// Parameters of libpq that are refused with an error: to ignore them could connect to the wrong server.
const UNSUPPORTED: [&str; 14] = [
    "hostaddr",
    "service",
    "options",
    "target_session_attrs",
    "load_balance_hosts",
    "requiressl",
    "require_auth",
    "sslpassword",
    "sslcrl",
    "sslcrldir",
    "sslsni",
    "ssl_min_protocol_version",
    "ssl_max_protocol_version",
    "replication",
];

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Address {
    /// A name or an IP address.
    Name(String),
    /// The folder of a Unix socket.
    Socket(PathBuf),
}

/// One server to try.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Host {
    /// Where.
    pub address: Address,
    /// The port; of a socket, the number in its name.
    pub port: u16,
}

impl fmt::Display for Host {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.address {
            Address::Name(name) if name.contains(':') => write!(out, "[{}]:{}", sanitise(name), self.port),
            Address::Name(name) => write!(out, "{}:{}", sanitise(name), self.port),
            Address::Socket(_) => write!(out, "{}", sanitise(&self.socket_path().display().to_string())),
        }
    }
}

impl Host {
    /// The socket's file; of a name, nothing that exists.
    pub fn socket_path(&self) -> PathBuf {
        match &self.address {
            Address::Socket(folder) => folder.join(format!(".s.PGSQL.{}", self.port)),
            Address::Name(_) => PathBuf::new(),
        }
    }
}

/// Where to connect and as whom.
#[derive(Debug, Clone)]
pub struct Target {
    /// The servers to try, in order.
    pub hosts: Vec<Host>,
    /// The login.
    pub user: String,
    /// The database.
    pub database: String,
    /// What `sslmode` and its companions say.
    pub tls: Tls,
    /// `connect_timeout`, where it says something.
    pub connect_timeout: Option<Duration>,
    /// The password file.
    pub passfile: Option<PathBuf>,
    /// What its sessions call themselves in `pg_stat_activity`.
    pub application: String,
    /// `PGPASSWORD`.
    pub(super) environment_password: Option<SecretString>,
}

/// What is wrong with a URL. Repeats nothing of it that may be a password.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Not a PostgreSQL URL.
    #[error("not a PostgreSQL URL: it must start with postgresql://, as in postgresql://USER@HOST:5432/DATABASE")]
    Scheme,
    /// There is a password in it.
    #[error("a password does not belong into a url; use password = {{ env = \"NAME\" }} or {{ file = \"PATH\" }}")]
    Password,
    /// `%` without two hexadecimal digits, or what they stand for is no text.
    #[error("{0}: a % must be followed by two hexadecimal digits, and the result must be UTF-8 text")]
    Encoding(String),
    /// A host that is none.
    #[error("{0}")]
    Host(String),
    /// A parameter that nobody knows.
    #[error("unknown parameter {0:?}{hint}", hint = hint(*.1))]
    Unknown(String, Option<&'static str>),
    /// A parameter of libpq's that is refused rather than ignored.
    #[error("the parameter {0} is not supported; remove it")]
    Unsupported(String),
    /// A value that the parameter cannot have.
    #[error("{0}: {1}")]
    Value(String, String),
    /// No user, and the operating system knows none.
    #[error("no user name; write it into the url: postgresql://USER@HOST/DATABASE")]
    NoUser,
}

fn hint(near: Option<&str>) -> String {
    near.map(|near| format!("; did you mean {near:?}?")).unwrap_or_default()
}

/// Whether a URL carries a password, however broken it is otherwise.
pub fn has_password(url: &str) -> bool {
    let rest = url.split_once("://").map_or(url, |(_, rest)| rest);
    let (authority, query) = rest.split_once('?').unwrap_or((rest, ""));
    let authority = authority.rsplit_once('@').map_or("", |(user, _)| user);
    authority.contains(':') || query.split('&').any(|pair| pair.split('=').next().is_some_and(|key| key == "password"))
}

impl Target {
    /// Whether a URL is well formed, wherever it will be used.
    pub fn check(url: &str) -> Result<(), UrlError> {
        let mut anywhere = Environment::of([]);
        anywhere.user = Some("nobody".to_owned());
        Self::parse(url, &anywhere).map(drop)
    }

    /// Reads a URL; what it leaves out comes from the `PG*` variables, then from libpq's defaults.
    pub fn parse(url: &str, environment: &Environment) -> Result<Self, UrlError> {
        let given = parameters(url)?;
        // A value and the name under which to complain about it.
        let value = |key: &str, variable: &str| {
            let own = given.get(key).filter(|value| !value.is_empty()).map(|value| (value.clone(), key.to_owned()));
            own.or_else(|| environment.var(variable).map(|value| (value.to_owned(), variable.to_owned())))
        };
        let text = |key: &str, variable: &str| value(key, variable).map(|(value, _)| value);
        let path = |key: &str, variable: &str| text(key, variable).map(|path| environment.expand(Path::new(&path)));

        let user = text("user", "PGUSER").or_else(|| environment.user.clone()).ok_or(UrlError::NoUser)?;
        let database = text("dbname", "PGDATABASE").unwrap_or_else(|| user.clone());
        let hosts = hosts(value("host", "PGHOST"), value("port", "PGPORT"))?;
        let below_home = |name: &str| environment.home.as_ref().map(|home| home.join(name));
        let root = path("sslrootcert", "PGSSLROOTCERT");
        let system = root.as_deref() == Some(Path::new("system"));
        let mode = match value("sslmode", "PGSSLMODE") {
            Some((mode, name)) => mode.parse::<SslMode>().map_err(|message| UrlError::Value(name, message))?,
            None if given.get("ssl").is_some_and(|value| value == "true") => SslMode::Require,
            None if system => SslMode::VerifyFull,
            None => SslMode::Prefer,
        };
        if system && mode != SslMode::VerifyFull {
            // Anybody can have a certificate of a public authority: without the host's name it proves nothing.
            return Err(UrlError::Value("sslrootcert".into(), "system needs sslmode=verify-full".into()));
        }
        let require_binding = match value("channel_binding", "PGCHANNELBINDING") {
            None => false,
            Some((choice, name)) => match choice.as_str() {
                "require" => true,
                "prefer" | "disable" => false,
                _ => return Err(UrlError::Value(name, "must be disable, prefer or require".into())),
            },
        };
        if given.get("sslnegotiation").is_some_and(|value| value != "postgres") {
            return Err(UrlError::Value("sslnegotiation".into(), "only postgres is supported".into()));
        }
        let connect_timeout = match value("connect_timeout", "PGCONNECT_TIMEOUT") {
            None => None,
            Some((seconds, name)) => match seconds.parse::<i32>() {
                // libpq waits for ever then; we never do, and the caller's limit stays.
                Ok(..=0) => None,
                // As libpq has it: one second is rounded up.
                Ok(seconds) => Some(Duration::from_secs(u64::from(seconds.unsigned_abs()).max(2))),
                Err(_) => return Err(UrlError::Value(name, "must be a whole number of seconds".into())),
            },
        };
        let tls = Tls {
            mode,
            root,
            default_root: below_home(".postgresql/root.crt"),
            certificate: path("sslcert", "PGSSLCERT"),
            default_certificate: below_home(".postgresql/postgresql.crt"),
            key: path("sslkey", "PGSSLKEY"),
            default_key: below_home(".postgresql/postgresql.key"),
            require_binding,
        };
        Ok(Self {
            hosts,
            user,
            database,
            tls,
            connect_timeout,
            passfile: path("passfile", "PGPASSFILE").or_else(|| below_home(".pgpass")),
            application: APPLICATION_NAME.to_owned(),
            environment_password: environment.var("PGPASSWORD").map(SecretString::from),
        })
    }

    /// The same login in another database of the same server.
    #[must_use]
    pub fn with_database(&self, database: &str) -> Self {
        Self { database: database.to_owned(), ..self.clone() }
    }

    /// The password that it has without the configuration's: `PGPASSWORD`, then the password file.
    pub fn password(&self) -> Option<SecretString> {
        let file = || lookup(self.passfile.as_deref()?, self.hosts.first()?, &self.database, &self.user).password;
        self.environment_password.clone().or_else(file)
    }

    /// Another login on the same server.
    #[must_use]
    pub fn with_user(&self, user: &str) -> Self {
        Self { user: user.to_owned(), ..self.clone() }
    }

    /// The same, under another name in `pg_stat_activity`.
    #[must_use]
    pub fn called(&self, application: &str) -> Self {
        Self { application: application.to_owned(), ..self.clone() }
    }
}

impl fmt::Display for Target {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let hosts = self.hosts.iter().map(ToString::to_string).collect::<Vec<_>>().join(",");
        write!(out, "{}@{hosts}/{}", sanitise(&self.user), sanitise(&self.database))
    }
}

/// Takes a URL apart into libpq's parameters.
fn parameters(url: &str) -> Result<BTreeMap<String, String>, UrlError> {
    let rest = url.strip_prefix("postgresql://").or_else(|| url.strip_prefix("postgres://")).ok_or(UrlError::Scheme)?;
    if has_password(url) {
        return Err(UrlError::Password);
    }
    let mut given = BTreeMap::new();
    let (before, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, database) = before.split_once('/').unwrap_or((before, ""));
    let (user, servers) = authority.rsplit_once('@').unwrap_or(("", authority));
    given.insert("user".to_owned(), decode("user", user)?);
    given.insert("dbname".to_owned(), decode("database", database)?);
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for server in servers.split(',') {
        let (host, port) = match server.strip_prefix('[') {
            Some(inside) => {
                let (address, after) = inside
                    .split_once(']')
                    .ok_or_else(|| UrlError::Host("an IPv6 address must end with ]".to_owned()))?;
                let port = after.strip_prefix(':').unwrap_or(after);
                if after.len() == port.len() && !after.is_empty() {
                    return Err(UrlError::Host("after an IPv6 address only :PORT may stand".to_owned()));
                }
                (address, port)
            }
            None => match server.split_once(':') {
                Some((_, port)) if port.contains(':') => {
                    return Err(UrlError::Host("an IPv6 address must stand in brackets: [::1]:5432".to_owned()));
                }
                Some(pair) => pair,
                None => (server, ""),
            },
        };
        hosts.push(decode("host", host)?);
        ports.push(port.to_owned());
    }
    if hosts.iter().any(|host| !host.is_empty()) {
        given.insert("host".to_owned(), hosts.join(","));
    }
    if ports.iter().any(|port| !port.is_empty()) {
        given.insert("port".to_owned(), ports.join(","));
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
        if KNOWN.contains(&key) {
            given.insert(key.to_owned(), decode(key, value)?);
        } else if UNSUPPORTED.contains(&key) {
            return Err(UrlError::Unsupported(key.to_owned()));
        } else if !IGNORED.contains(&key) {
            let key = sanitise(key).into_owned();
            let near = did_you_mean(&key, KNOWN.into_iter().chain(IGNORED).filter(|known| *known != "password"));
            return Err(UrlError::Unknown(key, near));
        }
    }
    Ok(given)
}

fn decode(what: &str, text: &str) -> Result<String, UrlError> {
    let bad = || UrlError::Encoding(what.to_owned());
    let hexadecimal = |part: &str| part.len() >= 2 && part.bytes().take(2).all(|byte| byte.is_ascii_hexdigit());
    if !text.split('%').skip(1).all(hexadecimal) {
        return Err(bad());
    }
    let decoded = percent_decode_str(text).decode_utf8().map_err(|_| bad())?;
    // PostgreSQL's start-up packet ends a value there.
    if decoded.contains('\0') { Err(bad()) } else { Ok(decoded.into_owned()) }
}

fn hosts(host: Option<(String, String)>, port: Option<(String, String)>) -> Result<Vec<Host>, UrlError> {
    let (host, _) = host.unwrap_or_default();
    let (port, name) = port.unwrap_or_default();
    let ports = port
        .split(',')
        .map(|port| match port {
            "" => Ok(5432),
            port => port.parse().ok().filter(|port| *port != 0).ok_or_else(|| {
                UrlError::Value(name.clone(), format!("{port:?} is not a port; a port is a number from 1 to 65535"))
            }),
        })
        .collect::<Result<Vec<u16>, _>>()?;
    let names: Vec<&str> = host.split(',').collect();
    if ports.len() != 1 && ports.len() != names.len() {
        return Err(UrlError::Host(format!("{} hosts and {} ports do not go together", names.len(), ports.len())));
    }
    let address = |name: &str| match name {
        "" => Address::Socket(default_socket_folder()),
        folder if folder.starts_with('/') => Address::Socket(folder.into()),
        name => Address::Name(name.to_owned()),
    };
    let port = |index: usize| ports.get(index).or(ports.first()).copied().unwrap_or(5432);
    Ok(names.iter().enumerate().map(|(index, name)| Host { address: address(name), port: port(index) }).collect())
}

/// Where Debian's PostgreSQL puts its socket, or where PostgreSQL itself does.
fn default_socket_folder() -> PathBuf {
    let debian = Path::new("/var/run/postgresql");
    if debian.is_dir() { debian.to_owned() } else { PathBuf::from("/tmp") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str, variables: &[(&str, &str)]) -> Result<Target, UrlError> {
        let mut environment = Environment::of(variables.iter().copied());
        environment.user = Some("ann".to_owned());
        environment.home = Some("/home/ann".into());
        Target::parse(url, &environment)
    }

    fn named(name: &str, port: u16) -> Host {
        Host { address: Address::Name(name.to_owned()), port }
    }

    #[test]
    fn a_whole_url() {
        let target = parse(
            "postgresql://tier%40deck@db.example:6543/port%2Farium?sslmode=verify-full&sslrootcert=%7E/ca.pem\
             &connect_timeout=9&application_name=psql",
            &[],
        )
        .unwrap();
        assert_eq!((target.user.as_str(), target.database.as_str()), ("tier@deck", "port/arium"));
        assert_eq!(target.hosts, [named("db.example", 6543)]);
        assert_eq!((target.tls.mode, target.tls.root.clone()), (SslMode::VerifyFull, Some("/home/ann/ca.pem".into())));
        assert_eq!(target.connect_timeout, Some(Duration::from_secs(9)));
        assert_eq!(target.to_string(), "tier@deck@db.example:6543/port/arium");
        assert_eq!(target.passfile, Some("/home/ann/.pgpass".into()));
    }

    #[test]
    fn variables_fill_what_the_url_leaves_out() {
        let variables = [
            ("PGHOST", "db"),
            ("PGPORT", "6000"),
            ("PGUSER", "bob"),
            ("PGDATABASE", "shop"),
            ("PGSSLMODE", "require"),
            ("PGPASSWORD", "hunter2"),
            ("PGPASSFILE", "/x"),
            ("PGCONNECT_TIMEOUT", "1"),
        ];
        let target = parse("postgresql://", &variables).unwrap();
        assert_eq!(target.to_string(), "bob@db:6000/shop");
        assert_eq!((target.tls.mode, target.connect_timeout), (SslMode::Require, Some(Duration::from_secs(2))));
        assert_eq!(target.passfile, Some("/x".into()));
        assert!(!format!("{target:?}").contains("hunter2"));
        let target = parse("postgresql://eve@[::1]:1/x?sslmode=disable", &variables).unwrap();
        assert_eq!(target.to_string(), "eve@[::1]:1/x");
        assert_eq!(target.tls.mode, SslMode::Disable);
        let error = parse("postgresql://", &[("PGSSLMODE", "verify_full")]).unwrap_err().to_string();
        assert!(error.contains("PGSSLMODE") && error.contains("verify-full"), "{error}");
    }

    #[test]
    fn sockets_defaults_and_several_hosts() {
        let target = parse("postgresql://", &[]).unwrap();
        assert!(matches!(target.hosts[0].address, Address::Socket(_)));
        assert_eq!((target.user.as_str(), target.database.as_str()), ("ann", "ann"));
        for url in ["postgresql://u@%2Frun%2Fpg:5433/d", "postgresql:///d?host=/run/pg&port=5433"] {
            let target = parse(url, &[]).unwrap();
            assert_eq!(target.hosts[0].socket_path(), Path::new("/run/pg/.s.PGSQL.5433"));
        }
        let target = parse("postgresql://u@a:1,b,[fe80::1]:3/d", &[]).unwrap();
        assert_eq!(target.hosts, [named("a", 1), named("b", 5432), named("fe80::1", 3)]);
        let target = parse("postgresql:///?host=a,b&port=7", &[]).unwrap();
        assert_eq!(target.hosts, [named("a", 7), named("b", 7)]);
    }

    #[test]
    fn what_is_wrong_is_named_and_never_a_password() {
        for (url, part) in [
            ("host=localhost", "postgresql://"),
            ("mysql://u@h/d", "postgresql://"),
            ("postgresql://u:hunter2@h/d", "does not belong"),
            ("postgresql://u:hun@ter2@h/d", "does not belong"),
            ("postgresql://u@h/d?password=hunter2", "does not belong"),
            ("postgresql://u@h/d?sslmod=require", "\"sslmode\""),
            ("postgresql://u@h/d?sslmode=verify_full", "\"verify-full\""),
            ("postgresql://u@h/d?frobnicate=1", "unknown parameter"),
            ("postgresql://u@h/d?hostaddr=1.2.3.4", "not supported"),
            ("postgresql://u@h:99999/d", "99999"),
            ("postgresql://u@h:x/d", "not a port"),
            ("postgresql://u@::1/d", "brackets"),
            ("postgresql://u@[::1/d", "]"),
            ("postgresql://u%4@h/d", "%"),
            ("postgresql://u%00@h/d", "%"),
            ("postgresql://u@h/d?sslmode=require&sslrootcert=system", "verify-full"),
            ("postgresql://u@h/d?connect_timeout=soon", "seconds"),
        ] {
            let error = parse(url, &[]).unwrap_err().to_string();
            assert!(error.contains(part), "{url}: {error}");
            assert!(!error.contains("hunter2") && !error.contains("ter2"), "{url}: {error}");
        }
    }
}
