//! The export of a schema: a dump of PostgreSQL's own, in a folder that only its owner reads, with a manifest that says what
//! it is. The manifest is written last: without it there is no export.

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Stdio;

use futures::future::BoxFuture;
use jiff::Timestamp;
use nix::sys::statvfs::statvfs;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};
use tokio::process::Command;

use crate::clients::postgres::QueryError;
use crate::domain::TenantId;
use crate::domain::foreign::sanitise;
use crate::ops::fence::image::Image;
use crate::ops::hands::{Eyes, Hands};
use crate::ops::id::OperationId;
use crate::ops::plan::hex;
use crate::ops::script::{CommandLine, Script};
use crate::ops::step::{Check, Safety, Step, StepError, Undo, Working};
use crate::ops::tenancy::Names;

/// Exports a schema.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Export {
    /// Which of the plan's targets.
    pub target: usize,
    /// Whose.
    pub tenant: TenantId,
    /// For which operation.
    pub operation: OperationId,
    /// From which server.
    pub system_identifier: String,
    /// The names.
    pub names: Names,
    /// The folder of the export, this operation's own.
    pub folder: PathBuf,
    /// `pg_dump`.
    pub program: PathBuf,
    /// `pg_restore`, which lists what a dump has.
    pub lister: PathBuf,
    /// How libpq gets there.
    pub connection: BTreeMap<String, String>,
    /// Who might do what before the fence: what is there now is what it leaves.
    pub acls: Value,
}

/// How much there is to export.
const BYTES: &str = "SELECT coalesce(sum(pg_table_size(c.oid)), 0)::int8 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
                     WHERE n.nspname = $1 AND c.relkind IN ('r', 'm')";

/// The rights in a schema as the manifest has them.
pub(super) fn acls(image: &Image) -> Value {
    let relations = image.relations.iter().map(|it| {
        let columns: BTreeMap<_, _> = it.columns.iter().map(|(name, acl)| (name, acl.to_string())).collect();
        json!({ "name": it.name, "owner": it.owner, "acl": it.acl.to_string(), "columns": columns })
    });
    let defaults = image.defaults.iter().map(|it| json!({ "for": it.role, "on": it.kind, "acl": it.acl.to_string() }));
    json!({
        "schema": image.acl.to_string(),
        "relations": relations.collect::<Vec<_>>(),
        "default_privileges": defaults.collect::<Vec<_>>(),
        "logins": image.logins,
    })
}

/// What an export is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Manifest {
    /// Whose.
    pub tenant: TenantId,
    /// Which operation made it.
    pub operation: OperationId,
    /// From which server.
    pub system_identifier: String,
    /// The schema.
    pub schema: String,
    /// Its owner.
    pub role: String,
    /// The file beside this one.
    pub file: String,
    /// Its size.
    pub bytes: u64,
    /// What it consists of.
    pub sha256: String,
    /// How many tables' rows are in it.
    pub tables: usize,
    /// When it was finished.
    pub at: Timestamp,
    /// Settings of the role as they were, and who might use the schema: what a dump without rights leaves out.
    pub rights: Value,
}

/// How much is free where a folder is or would be; `None`: nobody knows.
pub(super) fn free(folder: &Path) -> Option<u64> {
    let there = folder.ancestors().find(|folder| folder.exists())?;
    let room = statvfs(there).ok()?;
    Some(room.blocks_available().saturating_mul(room.fragment_size()))
}

fn io(doing: &str, path: &Path) -> impl FnOnce(std::io::Error) -> StepError {
    let words = format!("cannot {doing} {}", path.display());
    move |error| StepError::NotVerified(format!("{words}: {error}"))
}

impl Manifest {
    fn path(folder: &Path) -> PathBuf {
        folder.join("manifest.json")
    }

    /// Reads one, and holds the dump against it.
    pub async fn examine(folder: &Path, operation: &OperationId) -> Result<Self, String> {
        let path = Self::path(folder);
        let text = fs::read_to_string(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        let manifest: Self = serde_json::from_str(&text).map_err(|error| format!("{}: {error}", path.display()))?;
        if manifest.operation != *operation {
            return Err(format!("{} is of operation {}", path.display(), manifest.operation));
        }
        let (bytes, sha256) = weigh(folder.join(&manifest.file)).await?;
        if (bytes, &sha256) != (manifest.bytes, &manifest.sha256) {
            return Err(format!("{} is not the file that was written", manifest.file));
        }
        Ok(manifest)
    }

    fn write(&self, folder: &Path) -> std::io::Result<()> {
        let part = folder.join("manifest.part");
        let mut file = fs::OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&part)?;
        file.write_all(&serde_json::to_vec_pretty(self)?)?;
        file.sync_all()?;
        fs::rename(&part, Self::path(folder))?;
        fs::File::open(folder)?.sync_all()
    }
}

/// A file's size and hash, without holding anybody up.
async fn weigh(path: PathBuf) -> Result<(u64, String), String> {
    let weighed = tokio::task::spawn_blocking(move || {
        let read = || -> std::io::Result<(u64, String)> {
            let mut file = fs::File::open(&path)?;
            let (mut hash, mut bytes, mut buffer) = (Sha256::new(), 0, vec![0; 1 << 20]);
            loop {
                match file.read(&mut buffer)? {
                    0 => return Ok((bytes, hex(&hash.finalize()))),
                    read => {
                        hash.update(&buffer[..read]);
                        bytes += read as u64;
                    }
                }
            }
        };
        read().map_err(|error| format!("{}: {error}", path.display()))
    });
    weighed.await.map_err(|error| error.to_string())?
}

impl Export {
    /// The dump.
    pub fn file(&self) -> PathBuf {
        self.folder.join(format!("{}.dump", self.names.schema))
    }

    /// How many tables' rows a dump has, by its own list.
    async fn listed(&self) -> Result<usize, StepError> {
        let said = Command::new(&self.lister)
            .arg("--list")
            .arg(self.file())
            .env_clear()
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output()
            .await
            .map_err(io("run", &self.lister))?;
        if !said.status.success() {
            let words = sanitise(String::from_utf8_lossy(&said.stderr).trim()).into_owned();
            return Err(StepError::NotVerified(format!("the dump cannot be read back: {words}")));
        }
        Ok(String::from_utf8_lossy(&said.stdout).lines().filter(|line| line.contains(" TABLE DATA ")).count())
    }

    /// Whether there is room for it, by how much there is to export now.
    async fn room(&self, eyes: &mut Eyes) -> Result<Result<(), String>, StepError> {
        let rows = eyes.desk(self.target).await?.rows(BYTES, &[&self.names.schema]).await?;
        let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
        let needed = u64::try_from(row.try_get::<_, i64>(0).map_err(QueryError::from)?).unwrap_or_default();
        Ok(match free(&self.folder) {
            Some(free) if free < needed => Err(format!("{free} bytes are free, and the export may need {needed}")),
            _ => Ok(()),
        })
    }

    /// The folder, and nothing of an attempt before: who still writes there writes to a file without a name.
    fn clear(&self) -> std::io::Result<()> {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&self.folder)?;
        fs::set_permissions(&self.folder, fs::Permissions::from_mode(0o700))?;
        for file in [self.file(), Manifest::path(&self.folder)] {
            match fs::remove_file(file) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        Ok(())
    }

    async fn rights(&self, eyes: &mut Eyes) -> Result<Value, StepError> {
        let sql =
            "SELECT coalesce((SELECT json_build_object('connection_limit', r.rolconnlimit, 'settings', d.setconfig)
                            FROM pg_roles r LEFT JOIN pg_db_role_setting d ON d.setrole = r.oid AND d.setdatabase = 0
                            WHERE r.oid = n.nspowner), '{}')::text AS role
                   FROM pg_namespace n WHERE n.nspname = $1";
        let rows = eyes.desk(self.target).await?.rows(sql, &[&self.names.schema]).await?;
        let Some(row) = rows.first() else { return Ok(Value::Null) };
        let role: String = row.try_get("role").map_err(QueryError::from)?;
        let role: Value = serde_json::from_str(&role).map_err(|error| StepError::Values(error.to_string()))?;
        let mut rights = self.acls.clone();
        if let Some(rights) = rights.as_object_mut() {
            rights.insert("role".to_owned(), role);
        }
        Ok(rights)
    }
}

impl Step for Export {
    fn title(&self) -> String {
        format!("export {} to {}", self.names.schema, self.file().display())
    }

    fn safety(&self) -> Safety {
        Safety::Reversible
    }

    fn forward(&self) -> Script {
        let mut environment = self.connection.clone();
        environment.insert("PGAPPNAME".to_owned(), self.operation.application_name());
        let schema = self.names.schema.replace('"', "\"\"");
        Script::Command(CommandLine {
            program: self.program.display().to_string(),
            // No rights: they are those of a tenant that is shut out. No large objects: they are everybody's.
            arguments: vec![
                "--format=custom".to_owned(),
                format!("--schema=\"{schema}\""),
                "--strict-names".to_owned(),
                "--no-acl".to_owned(),
                "--no-password".to_owned(),
                "--lock-wait-timeout=10s".to_owned(),
                format!("--file={}", self.file().display()),
            ],
            environment,
            login: Some(self.target),
            grows: Some(self.file().display().to_string()),
        })
    }

    fn backward(&self, _: &Value) -> Result<Option<Script>, StepError> {
        Ok(Some(Script::Command(CommandLine {
            program: "/bin/rm".to_owned(),
            arguments: vec!["-rf".to_owned(), "--".to_owned(), self.folder.display().to_string()],
            environment: BTreeMap::new(),
            login: None,
            grows: None,
        })))
    }

    fn check<'a>(&'a self, before: Option<&'a Value>, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Check, StepError>> {
        Box::pin(async move {
            if before.is_some()
                && let Ok(manifest) = Manifest::examine(&self.folder, &self.operation).await
            {
                return Ok(Check::Already { output: json!({ "sha256": manifest.sha256, "bytes": manifest.bytes }) });
            }
            Ok(match self.room(eyes).await? {
                Ok(()) => Check::Ready { before: json!({ "export": "none" }) },
                Err(why) => Check::Blocked(why),
            })
        })
    }

    fn apply<'a>(&'a self, hands: &'a mut Hands<'_>) -> BoxFuture<'a, Result<(), StepError>> {
        Box::pin(async move {
            self.clear().map_err(io("prepare", &self.folder))?;
            Ok(hands.run(&self.forward()).await?)
        })
    }

    fn progress<'a>(&'a self, _: &'a mut Eyes) -> BoxFuture<'a, Result<Option<Working>, StepError>> {
        Box::pin(async move {
            let done = fs::metadata(self.file()).map_or(0, |file| i64::try_from(file.len()).unwrap_or(i64::MAX));
            // Compressed: how much it will be nobody knows.
            Ok(Some(Working { phase: format!("exporting, {done} bytes"), done, total: 0, unit: "bytes" }))
        })
    }

    fn verify<'a>(&'a self, _: &'a Value, eyes: &'a mut Eyes) -> BoxFuture<'a, Result<Value, StepError>> {
        Box::pin(async move {
            let file = self.file();
            let tables = self.listed().await?;
            if i64::try_from(tables).unwrap_or(i64::MAX) < self.tables_with_rows(eyes).await? {
                return Err(StepError::NotVerified(format!("the dump has the rows of {tables} tables only")));
            }
            fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).map_err(io("protect", &file))?;
            fs::File::open(&file).and_then(|file| file.sync_all()).map_err(io("keep", &file))?;
            let (bytes, sha256) = weigh(file.clone()).await.map_err(StepError::NotVerified)?;
            let manifest = Manifest {
                tenant: self.tenant.clone(),
                operation: self.operation.clone(),
                system_identifier: self.system_identifier.clone(),
                schema: self.names.schema.clone(),
                role: self.names.role.clone(),
                file: format!("{}.dump", self.names.schema),
                bytes,
                sha256: sha256.clone(),
                tables,
                at: Timestamp::now(),
                rights: self.rights(eyes).await?,
            };
            manifest.write(&self.folder).map_err(io("write the manifest in", &self.folder))?;
            Ok(json!({ "file": file, "bytes": bytes, "sha256": sha256, "tables": tables }))
        })
    }

    fn undone<'a>(&'a self, _: &'a Value, _: &'a mut Eyes) -> BoxFuture<'a, Result<Undo, StepError>> {
        Box::pin(async { Ok(if self.folder.exists() { Undo::Needed } else { Undo::Done }) })
    }
}

impl Export {
    /// How many tables have rows of their own to export: partitioned ones have none.
    async fn tables_with_rows(&self, eyes: &mut Eyes) -> Result<i64, StepError> {
        let sql = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = $1 AND c.relkind = 'r'";
        let rows = eyes.desk(self.target).await?.rows(sql, &[&self.names.schema]).await?;
        let row = rows.first().ok_or_else(|| QueryError::Answer { reason: "no row".to_owned() })?;
        Ok(row.try_get(0).map_err(QueryError::from)?)
    }
}
