//! Keys that the file may have already and that later versions will act on: recognised, checked for shape, without effect.

/// What the value of such a key looks like.
#[derive(Debug)]
pub(super) enum Shape {
    Text,
    Flag,
    Number,
    Duration,
    Url,
    Secret,
    /// A table with these keys.
    Keys(&'static [Later]),
    /// A table with free keys, each of this shape.
    Each(&'static Shape),
}

/// One such key.
#[derive(Debug)]
pub(super) struct Later {
    /// The key.
    pub name: &'static str,
    /// What it will mean.
    pub about: &'static str,
    /// A value for the example file; empty for a table.
    pub sample: &'static str,
    /// What it looks like.
    pub shape: Shape,
}

const fn later(name: &'static str, sample: &'static str, shape: Shape, about: &'static str) -> Later {
    Later { name, about, sample, shape }
}

/// `admin`: another login.
const LOGIN: Shape = Shape::Keys(&[
    later("user", "\"portarium_admin\"", Shape::Text, "its name"),
    later("password", "{ vault = \"tierdeck/shared#password\" }", Shape::Secret, "where its password is"),
]);

/// `[aws.NAME]`
pub(super) const AWS: Shape = Shape::Each(&Shape::Keys(&[
    later("region", "\"eu-west-1\"", Shape::Text, "one table for each account and region"),
    later("profile", "\"prod\"", Shape::Text, "of the SDK's own configuration"),
    later("assume_role", "\"arn:aws:iam::123456789012:role/tierdeck\"", Shape::Text, "role to take on"),
    later("endpoint_url", "\"http://127.0.0.1:5000\"", Shape::Text, "somewhere else than AWS"),
    later("discover", "true", Shape::Flag, "find dedicated instances by their tag StorageTier=dedicated"),
    later("max_usd_per_hour", "0.50", Shape::Number, "slow metrics are asked more rarely to stay below it"),
]));

/// `[dedicated]`
pub(super) const DEDICATED: Shape = Shape::Keys(&[
    later(
        "url",
        "\"postgresql://tierdeck@{host}:{port}/{database}?sslmode=verify-full\"",
        Shape::Url,
        "how to log in to instances that were discovered",
    ),
    later("password", "{ iam = true }", Shape::Secret, "of that login"),
    later(
        "admin",
        "{ user = \"portarium\", password = { vault = \"tierdeck/{id}/admin#password\" } }",
        LOGIN,
        "the login of wizards and actions",
    ),
]);

/// `[policy.backup]`
pub(super) const BACKUP: Shape = Shape::Keys(&[
    later(
        "retention_days",
        "{ staging = 14, prod = 35, default = 7 }",
        Shape::Each(&Shape::Number),
        "days, for each environment",
    ),
    later("drill_every", "\"90d\"", Shape::Duration, "how often a restore is to be practised"),
    later(
        "rpo",
        "{ shared = \"24h\", dedicated = \"24h\", pitr = \"5m\" }",
        Shape::Each(&Shape::Duration),
        "how much may be lost",
    ),
    later(
        "rto",
        "{ shared = \"30m\", dedicated = \"15m\", pitr = \"5m\" }",
        Shape::Each(&Shape::Duration),
        "how long it may take",
    ),
]);

impl Shape {
    /// The keys below.
    pub fn keys(&self) -> &'static [Later] {
        match self {
            Self::Keys(keys) => keys,
            _ => &[],
        }
    }

    /// What a value of this shape is called in messages.
    pub fn expected(&self) -> &'static str {
        match self {
            Self::Text => "a text",
            Self::Url => "a URL",
            Self::Flag => "true or false",
            Self::Number => "a number",
            Self::Duration => "a duration such as \"5m\"",
            Self::Secret => SECRET,
            Self::Keys(_) | Self::Each(_) => "a table",
        }
    }
}

/// What a reference to a secret looks like.
pub(super) const SECRET: &str =
    "one of { env = \"NAME\" }, { file = \"PATH\" }, { vault = \"path#key\" }, { iam = true }";
