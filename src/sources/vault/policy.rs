//! The lines of a Vault policy that watching needs, and no more.

/// See the module.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Policy {
    /// To see who has a secret.
    pub list: String,
    /// To see which version it is, by whom, since when.
    pub metadata: String,
    /// To see where it points.
    pub data: String,
}

impl Policy {
    /// For secrets at this path of a mount.
    pub fn of(mount: &str, path: &str) -> Self {
        // A part of a path that is anything is written `+`, and only a whole part may be.
        let (folder, rest) = path.split_once("{id}").unwrap_or((path, ""));
        let (folder, before) = folder.rsplit_once('/').map_or(("", folder), |(folder, before)| (folder, before));
        let (after, tail) = rest.split_once('/').map_or((rest, None), |(after, tail)| (after, Some(tail)));
        let folder = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let secret = match tail {
            Some(tail) => format!("{folder}+/{tail}"),
            None if after.is_empty() => format!("{folder}{before}*"),
            None => format!("{folder}+"),
        };
        let line = |kind: &str, place: &str, may: &str| {
            format!("path \"{mount}/{kind}/{place}\" {{ capabilities = [\"{may}\"] }}")
        };
        Self {
            list: line("metadata", &folder, "list"),
            metadata: line("metadata", &secret, "read"),
            data: line("data", &secret, "read"),
        }
    }

    /// All of them.
    pub fn whole(&self) -> String {
        format!("{} {} {}", self.list, self.metadata, self.data)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_asked_for_than_is_read() {
        let Policy { list, metadata, data } = Policy::of("secret", "tenants/{id}/db");
        assert_eq!(list, "path \"secret/metadata/tenants/\" { capabilities = [\"list\"] }");
        assert_eq!(metadata, "path \"secret/metadata/tenants/+/db\" { capabilities = [\"read\"] }");
        assert_eq!(data, "path \"secret/data/tenants/+/db\" { capabilities = [\"read\"] }");
        assert!(Policy::of("kv", "{id}").data.contains("kv/data/*"));
        assert!(Policy::of("kv", "db-{id}").data.contains("kv/data/db-*"));
    }
}
