//! `tierdeck serve`: the same snapshot for Prometheus, over HTTP.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use color_eyre::eyre::Result;
use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::sync::watch;

use super::arguments::Serve;
use super::guests::Bounded;
use super::{Exit, observe, output, remember};
use crate::clients::Environment;
use crate::domain::snapshot::Reach;
use crate::domain::{Snapshot, quantity};
use crate::metrics::{self, Chosen, Own};
use crate::poll::Poller;
use crate::signals::Evaluator;
use crate::ui::terminal;

/// A snapshot is made every second; one older than this says that nobody makes them any more.
const OLDEST: f64 = 15.0;

/// How long connections may take to end when we are asked to.
const GOODBYE: Duration = Duration::from_secs(3);

/// What every answer is made from.
struct Shared {
    snapshots: watch::Receiver<Arc<Snapshot>>,
    chosen: Mutex<Chosen>,
    scrapes: AtomicU64,
    started: Timestamp,
}

pub(super) async fn run(config: Option<&Path>, options: Serve) -> Result<Exit> {
    if !options.listen.ip().is_loopback() && !options.public {
        output::say(&refusal(options.listen));
        return Ok(Exit::Usage);
    }
    let Some(config) = observe::configuration(config) else { return Ok(Exit::Usage) };
    let stop = terminal::signalled()?;
    let listener = match TcpListener::bind(options.listen).await {
        Ok(listener) => listener,
        Err(error) => {
            output::say(&format!("cannot listen on {}: {error}; choose another with --listen", options.listen));
            return Ok(Exit::Usage);
        }
    };
    let poller = Poller::start(&config, observe::targets(&config)?, Evaluator::steady());
    let history = remember::start(&config, &Environment::of_process(), &poller, |notice| output::say(&notice.text));
    let shared = Arc::new(Shared {
        snapshots: poller.snapshots.clone(),
        chosen: Mutex::new(Chosen::new(options.tenants_max)),
        scrapes: AtomicU64::new(0),
        started: Timestamp::now(),
    });
    let routes = Router::new()
        .route("/", get(|| async { "tierdeck: /metrics for Prometheus, /healthz for whoever starts us\n" }))
        .route("/metrics", get(page))
        .route("/healthz", get(health))
        .with_state(shared);
    output::say(&format!("serving http://{}/metrics", listener.local_addr()?));
    let (asked, stopping) = watch::channel(());
    let served = axum::serve(Bounded::new(listener), routes).with_graceful_shutdown(async move {
        stop.await;
        drop(asked);
    });
    let late = async {
        let mut stopping = stopping;
        while stopping.changed().await.is_ok() {}
        tokio::time::sleep(GOODBYE).await;
    };
    tokio::select! {
        served = served => served?,
        () = late => {}
    }
    remember::close(history).await;
    Ok(Exit::Fine)
}

fn refusal(listen: SocketAddr) -> String {
    format!(
        "{listen} is not a loopback address: whoever can reach it would read the names and the load of every tenant, \
         without a password. Listen on 127.0.0.1 and let Prometheus come through what you trust; or, where the network \
         itself keeps strangers out, say --public"
    )
}

async fn page(State(shared): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let snapshot = shared.snapshots.borrow().clone();
    let chosen = {
        let mut chosen = shared.chosen.lock().unwrap_or_else(PoisonError::into_inner);
        chosen.choose(&snapshot);
        chosen.clone()
    };
    let own = Own {
        scrapes: shared.scrapes.fetch_add(1, Ordering::Relaxed) + 1,
        started: shared.started,
        resident_bytes: resident(),
    };
    let Ok(text) = metrics::openmetrics(&snapshot, &chosen, own) else {
        return (StatusCode::INTERNAL_SERVER_ERROR, "the page could not be written\n").into_response();
    };
    let accepts = headers.get_all(header::ACCEPT).iter().filter_map(|value| value.to_str().ok());
    let modern = accepts.into_iter().any(metrics::wants_openmetrics);
    let (kind, text) = if modern { (metrics::OPENMETRICS, text) } else { (metrics::TEXT, metrics::plain(&text)) };
    ([(header::CONTENT_TYPE, kind)], text).into_response()
}

/// Whether the page says something of now. An instance that is down is on the page: that is no reason not to be read.
async fn health(State(shared): State<Arc<Shared>>) -> Response {
    let snapshot = shared.snapshots.borrow().clone();
    let age = Timestamp::now().duration_since(snapshot.taken_at).as_secs_f64();
    let untried = snapshot.instances.iter().find(|instance| instance.reach == Reach::Connecting);
    if age > OLDEST {
        let words = format!("the newest snapshot is {age:.0} s old: the collector has stopped\n");
        return (StatusCode::SERVICE_UNAVAILABLE, words).into_response();
    }
    match untried {
        Some(instance) => {
            (StatusCode::SERVICE_UNAVAILABLE, format!("{} has not answered yet\n", instance.name)).into_response()
        }
        None => healthy(&snapshot).into_response(),
    }
}

/// That we do our work; and whom we do not reach, for whoever reads more than the status.
fn healthy(snapshot: &Snapshot) -> String {
    let all = snapshot.instances.len();
    let down = snapshot.instances.iter().filter(|instance| matches!(instance.reach, Reach::Down { .. }));
    let names: Vec<&str> = down.map(|instance| instance.name.as_str()).collect();
    match names.len() {
        0 => "fine\n".to_owned(),
        lost => format!("{lost} of {} not reached: {}\n", quantity::plural(all, "instance"), names.join(", ")),
    }
}

/// Resident memory, where the system tells it as Linux does.
fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    line.trim().strip_suffix(" kB")?.trim().parse::<u64>().ok().map(|kibibytes| kibibytes * 1_024)
}
