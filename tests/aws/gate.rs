//! A pipe in place of a file that a server reads: it waits there until a test lets it go on.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use nix::libc::O_NONBLOCK;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tokio::task::spawn_blocking;
use tokio_postgres::Client;

/// Where a server that we are logged in to lies.
pub async fn data_folder(client: &Client) -> PathBuf {
    let told: String = client.query_one("SHOW data_directory", &[]).await.unwrap().get(0);
    PathBuf::from(told)
}

/// The pipe.
pub struct Gate(PathBuf);

/// The pipe with somebody in front of it, who waits as long as this is there.
pub struct Held(PathBuf, File);

impl Gate {
    /// Puts one where nothing is.
    pub fn put(path: &Path) -> Self {
        mkfifo(path, Mode::from_bits_truncate(0o644)).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o644)).unwrap();
        Self(path.to_owned())
    }

    /// Puts one where a server comes by when it starts: what its configuration names.
    pub fn at_start(data: &Path) -> Self {
        let mut file = OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
        file.write_all(b"include 'gate.conf'\n").unwrap();
        Self::put(&data.join("gate.conf"))
    }

    /// Until somebody waits there.
    pub async fn holds(self) -> Held {
        let begun = Instant::now();
        loop {
            // Without a reader this fails.
            if let Ok(file) = OpenOptions::new().write(true).custom_flags(O_NONBLOCK).open(&self.0) {
                return Held(self.0, file);
            }
            assert!(begun.elapsed() < Duration::from_secs(60), "nobody ever reads {}", self.0.display());
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

impl Held {
    /// Gives whoever waits what they came for; who comes later finds it in a file.
    pub async fn open(self, text: Vec<u8>) {
        let Self(path, held) = self;
        let work = move || {
            let file = path.with_extension("opened");
            fs::write(&file, &text).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o644)).unwrap();
            let mut pipe = OpenOptions::new().write(true).open(&path).unwrap();
            fs::rename(&file, &path).unwrap();
            pipe.write_all(&text).unwrap();
            drop(held);
        };
        spawn_blocking(work).await.unwrap();
    }
}
