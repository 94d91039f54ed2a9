//! The estate's Vault: a stand-in on loopback that speaks as much of Vault's API as an estate needs: a KV version 2 mount
//! `secret`, and one token. Held in memory; it goes with the estate. What it does not know it refuses as Vault does.

mod keeper;
mod kv;
mod real;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Json, Response};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::kv::Mount;

pub use self::keeper::VaultKind;
pub(super) use self::keeper::{Keeper, Opens, Own};
pub(super) use self::real::{PID_FILE, stop_orphan};

/// The one mount that there is.
const MOUNT: &str = "secret";

/// Vault takes no larger request by default.
const LARGEST: usize = 32 << 20;

/// A running stand-in. Dropped, it stops.
#[derive(Debug)]
pub struct VaultStand {
    address: SocketAddr,
    server: JoinHandle<()>,
}

struct Shared {
    token: SecretString,
    mount: Mutex<Mount>,
}

/// What a request comes to.
type Answer = Result<Option<Value>, (StatusCode, Value)>;

impl VaultStand {
    /// Starts one on a free port of loopback that knows this token.
    pub async fn start(token: SecretString) -> std::io::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await?;
        let address = listener.local_addr()?;
        let shared = Arc::new(Shared { token, mount: Mutex::default() });
        let routes = Router::new().fallback(answer).with_state(shared);
        let server = tokio::spawn(async move {
            // It ends with the task.
            let _ = axum::serve(listener, routes).await;
        });
        Ok(Self { address, server })
    }

    /// `http://127.0.0.1:PORT`
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }
}

impl Drop for VaultStand {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let path = head.uri.path().trim_start_matches("/v1/").to_owned();
    if path == "sys/health" {
        return Json(json!({
            "initialized": true, "sealed": false, "standby": false, "performance_standby": false,
            "replication_performance_mode": "disabled", "replication_dr_mode": "disabled", "server_time_utc": 0,
            "version": "stand-in", "cluster_name": "estate", "cluster_id": "stand-in"
        }))
        .into_response();
    }
    if !knows(&shared, &head.headers) {
        return refuse(StatusCode::FORBIDDEN, &["permission denied"]);
    }
    let body = match read(body).await {
        Ok(body) => body,
        Err(words) => return refuse(StatusCode::BAD_REQUEST, &[&words]),
    };
    let query = head.uri.query().unwrap_or_default();
    match own(&path).unwrap_or_else(|| stored(&shared, &head.method, &path, query, &body)) {
        Ok(None) => StatusCode::NO_CONTENT.into_response(),
        Ok(Some(data)) => Json(enveloped(&data)).into_response(),
        Err((status, body)) => (status, Json(body)).into_response(),
    }
}

fn knows(shared: &Shared, headers: &HeaderMap) -> bool {
    headers.get("x-vault-token").is_some_and(|token| token.as_bytes() == shared.token.expose_secret().as_bytes())
}

async fn read(body: Body) -> Result<Value, String> {
    let bytes = to_bytes(body, LARGEST).await.map_err(|_| "request body too large".to_owned())?;
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(&bytes).map_err(|_| "error parsing JSON".to_owned())
}

/// What concerns the token itself: it never ends.
fn own(path: &str) -> Option<Answer> {
    (path == "auth/token/lookup-self").then(|| {
        Ok(Some(json!({
            "accessor": "stand-in", "creation_time": 0, "creation_ttl": 0, "display_name": "root", "entity_id": "",
            "expire_time": null, "explicit_max_ttl": 0, "id": "", "identity_policies": null, "issue_time": null,
            "last_renewal": null, "meta": null, "num_uses": 0, "orphan": true, "path": "auth/token/root",
            "policies": ["root"], "renewable": false, "ttl": 0
        })))
    })
}

fn stored(shared: &Shared, method: &Method, path: &str, query: &str, body: &Value) -> Answer {
    let Some((kind, name)) = path.strip_prefix(MOUNT).and_then(|rest| rest.strip_prefix('/')?.split_once('/')) else {
        let words = format!("no handler for route {path:?}. route entry not found.");
        return Err((StatusCode::NOT_FOUND, json!({"errors": [words]})));
    };
    let mut mount = shared.mount.lock().unwrap_or_else(PoisonError::into_inner);
    mount.answer(method.as_str(), kind, name, query, body)
}

/// As Vault wraps everything.
fn enveloped(data: &Value) -> Value {
    json!({
        "request_id": "", "lease_id": "", "renewable": false, "lease_duration": 0, "data": data, "wrap_info": null,
        "warnings": null, "auth": null
    })
}

fn refuse(status: StatusCode, errors: &[&str]) -> Response {
    (status, Json(json!({"errors": errors}))).into_response()
}
