//! What answers as a Vault does, counts who asks for what, and says whatever a test wants it to say.

#![allow(dead_code, missing_docs, reason = "every test program uses its own part of this")]
#![allow(clippy::unwrap_used, reason = "a test's way to fail")]

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

/// A secret: its version, what is in it, and, instead of both, whatever is to be said of it.
#[derive(Clone)]
pub enum Says {
    Secret(u64, Value),
    Metadata(&'static str),
    Data(&'static str),
}

#[derive(Default)]
pub struct Shared {
    pub secrets: Mutex<BTreeMap<String, Says>>,
    pub lists: AtomicUsize,
    pub metadata: AtomicUsize,
    pub data: AtomicUsize,
    now: AtomicUsize,
    /// The most requests that were under way at once.
    pub most: AtomicUsize,
}

pub struct FakeVault {
    pub url: String,
    pub shared: Arc<Shared>,
    server: JoinHandle<()>,
}

impl FakeVault {
    pub async fn start(secrets: impl IntoIterator<Item = (String, Says)>) -> Self {
        let shared = Arc::new(Shared::default());
        shared.secrets.lock().unwrap().extend(secrets);
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let routes = Router::new().fallback(answer).with_state(Arc::clone(&shared));
        let server = tokio::spawn(async move { axum::serve(listener, routes).await.unwrap() });
        Self { url, shared, server }
    }

    pub fn requests(&self) -> usize {
        [&self.shared.lists, &self.shared.metadata, &self.shared.data].iter().map(|count| count.load(SeqCst)).sum()
    }
}

impl Drop for FakeVault {
    fn drop(&mut self) {
        self.server.abort();
    }
}

async fn answer(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let now = shared.now.fetch_add(1, SeqCst) + 1;
    shared.most.fetch_max(now, SeqCst);
    tokio::time::sleep(Duration::from_millis(20)).await;
    let listing =
        request.method().as_str() == "LIST" || request.uri().query().is_some_and(|it| it.contains("list=true"));
    let response = said(&shared, request.uri().path(), listing);
    shared.now.fetch_sub(1, SeqCst);
    response
}

fn said(shared: &Shared, path: &str, listing: bool) -> Response {
    const WRITTEN: &str = "2026-11-20T08:00:00Z";
    let secrets = shared.secrets.lock().unwrap();
    let Some(path) = path.strip_prefix("/v1/secret/") else {
        return (StatusCode::FORBIDDEN, "{\"errors\":[\"permission denied\"]}").into_response();
    };
    let tenant = path.split('/').nth(2).unwrap_or_default();
    let known = secrets.get(tenant);
    let ok = |data: &Value| {
        let whole = json!({
            "request_id": "", "lease_id": "", "renewable": false, "lease_duration": 0, "data": data, "wrap_info": null,
            "warnings": null, "auth": null
        });
        (StatusCode::OK, whole.to_string()).into_response()
    };
    if listing {
        shared.lists.fetch_add(1, SeqCst);
        let keys: Vec<String> = secrets.keys().map(|tenant| format!("{tenant}/")).collect();
        return ok(&json!({ "keys": keys }));
    }
    let of_version = json!({"created_time": WRITTEN, "deletion_time": "", "destroyed": false});
    if path.starts_with("metadata/") {
        shared.metadata.fetch_add(1, SeqCst);
        return match known {
            Some(Says::Metadata(text)) => (StatusCode::OK, *text).into_response(),
            Some(Says::Secret(version, _)) => ok(&json!({
                "cas_required": false, "created_time": WRITTEN, "current_version": version, "custom_metadata": null,
                "delete_version_after": "0s", "max_versions": 0, "oldest_version": 0, "updated_time": WRITTEN,
                "versions": { version.to_string(): of_version }
            })),
            Some(Says::Data(_)) => ok(&json!({
                "cas_required": false, "created_time": WRITTEN, "current_version": 1, "custom_metadata": null,
                "delete_version_after": "0s", "max_versions": 0, "oldest_version": 0, "updated_time": WRITTEN,
                "versions": { "1": of_version }
            })),
            None => (StatusCode::NOT_FOUND, "{\"errors\":[]}").into_response(),
        };
    }
    shared.data.fetch_add(1, SeqCst);
    match known {
        Some(Says::Data(text)) => (StatusCode::OK, *text).into_response(),
        Some(Says::Secret(version, data)) => {
            let mut metadata = of_version;
            (metadata["version"], metadata["custom_metadata"]) = ((*version).into(), Value::Null);
            ok(&json!({ "data": data, "metadata": metadata }))
        }
        Some(Says::Metadata(_)) | None => (StatusCode::NOT_FOUND, "{\"errors\":[]}").into_response(),
    }
}
