//! Instance classes: what of their size the metrics and the validation need.

/// A size of machine.
#[derive(Debug, Clone, Copy)]
pub struct Class {
    /// Its name: `db.r6g.large`.
    pub name: &'static str,
    /// vCPUs.
    pub vcpus: u32,
    /// GiB.
    pub memory: u32,
    /// Credits that it earns an hour, where it runs on credits.
    pub credits: Option<u32>,
    /// Whether its share of the disk's throughput comes as a burst.
    pub ebs_burst: bool,
}

const fn burstable(name: &'static str, vcpus: u32, memory: u32, credits: u32) -> Class {
    Class { name, vcpus, memory, credits: Some(credits), ebs_burst: true }
}

const fn fixed(name: &'static str, vcpus: u32, memory: u32) -> Class {
    // Sizes up to 4xlarge reach their maximum for half an hour a day only.
    Class { name, vcpus, memory, credits: None, ebs_burst: vcpus <= 8 }
}

/// Those that can be had, the smallest of a family first.
pub const CLASSES: [Class; 37] = [
    burstable("db.t3.micro", 2, 1, 12),
    burstable("db.t3.small", 2, 2, 24),
    burstable("db.t3.medium", 2, 4, 24),
    burstable("db.t3.large", 2, 8, 36),
    burstable("db.t3.xlarge", 4, 16, 96),
    burstable("db.t3.2xlarge", 8, 32, 192),
    burstable("db.t4g.micro", 2, 1, 12),
    burstable("db.t4g.small", 2, 2, 24),
    burstable("db.t4g.medium", 2, 4, 24),
    burstable("db.t4g.large", 2, 8, 36),
    burstable("db.t4g.xlarge", 4, 16, 96),
    burstable("db.t4g.2xlarge", 8, 32, 192),
    fixed("db.m5.large", 2, 8),
    fixed("db.m5.xlarge", 4, 16),
    fixed("db.m5.2xlarge", 8, 32),
    fixed("db.m5.4xlarge", 16, 64),
    fixed("db.m6g.large", 2, 8),
    fixed("db.m6g.xlarge", 4, 16),
    fixed("db.m6g.2xlarge", 8, 32),
    fixed("db.m6g.4xlarge", 16, 64),
    fixed("db.m6i.large", 2, 8),
    fixed("db.m6i.xlarge", 4, 16),
    fixed("db.m6i.2xlarge", 8, 32),
    fixed("db.m6i.4xlarge", 16, 64),
    fixed("db.m7g.large", 2, 8),
    fixed("db.m7g.xlarge", 4, 16),
    fixed("db.r5.large", 2, 16),
    fixed("db.r5.xlarge", 4, 32),
    fixed("db.r5.2xlarge", 8, 64),
    fixed("db.r6g.large", 2, 16),
    fixed("db.r6g.xlarge", 4, 32),
    fixed("db.r6g.2xlarge", 8, 64),
    fixed("db.r6g.4xlarge", 16, 128),
    fixed("db.r6i.large", 2, 16),
    fixed("db.r6i.xlarge", 4, 32),
    fixed("db.r7g.large", 2, 16),
    fixed("db.r7g.xlarge", 4, 32),
];

/// The class of this name.
pub fn class(name: &str) -> Option<&'static Class> {
    CLASSES.iter().find(|class| class.name == name)
}
