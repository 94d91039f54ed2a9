//! Who lives in the estate: lifelike tenants, how each logs in, how big it is, what is odd about it. Decided by the
//! seed alone.

use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{RngExt, SeedableRng};
use serde::Deserialize;

use crate::domain::{Layout, Naming, TenantId};

/// How a tenant's application reaches the database, and so what it leaves to see of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Style {
    /// Logs in as its own role.
    OwnLogin,
    /// Shared account; `SET LOCAL search_path` in each transaction.
    SearchPath,
    /// Shared account; says its id in `application_name`.
    ApplicationName,
    /// Shared account; tags its statements as sqlcommenter does.
    Sqlcommenter,
    /// Shared account; its search path comes as a parameter: no clue but the tables it touches.
    NoClue,
    /// Shared account; `application_name` and tag are another tenant's.
    Liar,
}

impl Style {
    /// Those of the shared account.
    pub const SHARED: [Self; 5] =
        [Self::SearchPath, Self::ApplicationName, Self::Sqlcommenter, Self::NoClue, Self::Liar];
}

/// What is wrong with a tenant's set-up, or odd about what it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Oddity {
    /// Nothing.
    None,
    /// Its login has no `CONNECTION LIMIT`.
    NoConnectionLimit,
    /// Its login's `statement_timeout` is far from what it should be.
    SlackTimeout,
    /// Its statements hold terminal escape sequences.
    Escapes,
    /// Its statements and a table's name hold wide characters and marks that turn the writing direction.
    WideText,
}

/// A tenant of the estate.
#[derive(Debug, Clone)]
pub struct Member {
    /// Its id.
    pub id: TenantId,
    /// How it logs in.
    pub style: Style,
    /// What is odd about it.
    pub oddity: Oddity,
    /// Orders at the beginning; its other tables follow from this.
    pub orders: u32,
    /// For a liar: who it says it is.
    pub pretends: Option<TenantId>,
    /// Its database.
    pub database: String,
    /// Its schema.
    pub schema: String,
    /// Who owns its tables.
    pub role: String,
}

/// All tenants, the biggest first.
#[derive(Debug, Clone)]
pub struct Roster {
    /// The tenants.
    pub members: Vec<Member>,
}

/// The shared database of the schema layout.
pub(super) const SHARED_DATABASE: &str = "portarium";

/// Logins of their own stay few however many tenants there are, as in life.
const MOST_LOGINS: usize = 60;
/// Rows of orders in all, so that a big estate starts as quickly as a small one.
const ORDERS_IN_ALL: f64 = 120_000.0;

impl Roster {
    /// Decides who lives here.
    pub fn new(tenants: usize, layout: Layout, seed: u64) -> Self {
        let naming = Naming::default();
        let mut rng = StdRng::seed_from_u64(seed);
        let ids = ids(tenants, &mut rng);
        let orders = sizes(tenants, &mut rng);
        let mut members: Vec<Member> = Vec::with_capacity(tenants);
        let mut logins = 0;
        for (index, (id, orders)) in ids.iter().zip(orders).enumerate() {
            let mut style = if layout == Layout::Database { Style::OwnLogin } else { style(index) };
            if layout == Layout::Schema && style == Style::OwnLogin {
                logins += 1;
                if logins > MOST_LOGINS {
                    style = Style::SearchPath;
                }
            }
            let (database, schema, role) = match layout {
                Layout::Schema => {
                    (SHARED_DATABASE.to_owned(), naming.tenant_schema.name(id), naming.tenant_role.name(id))
                }
                Layout::Database => (naming.tenant_database.name(id), "app".to_owned(), naming.tenant_login.name(id)),
            };
            let pretends = (style == Style::Liar).then(|| ids.get(index.wrapping_sub(1)).cloned()).flatten();
            members.push(Member {
                id: id.clone(),
                style,
                oddity: Oddity::None,
                orders,
                pretends,
                database,
                schema,
                role,
            });
        }
        let mut roster = Self { members };
        for (style, rank, oddity) in [
            (Style::OwnLogin, 1, Oddity::NoConnectionLimit),
            (Style::OwnLogin, 2, Oddity::SlackTimeout),
            (Style::SearchPath, 1, Oddity::Escapes),
            (Style::NoClue, 0, Oddity::WideText),
        ] {
            let place = roster.ranks(style).nth(rank);
            if let Some(index) = place {
                roster.members[index].oddity = oddity;
            }
        }
        if layout == Layout::Database {
            for (index, oddity) in [(3, Oddity::Escapes), (4, Oddity::WideText)] {
                if let Some(member) = roster.members.get_mut(index) {
                    member.oddity = oddity;
                }
            }
        }
        roster
    }

    /// Places of the tenants of a style, the biggest first.
    pub fn ranks(&self, style: Style) -> impl Iterator<Item = usize> + '_ {
        (0..self.members.len()).filter(move |&index| self.members[index].style == style)
    }

    /// The tenant that a story means: of a style, by rank among its like; in small estates whoever comes nearest.
    pub fn cast(&self, style: Style, rank: usize) -> usize {
        let like: Vec<usize> = self.ranks(style).collect();
        match like.len() {
            0 => rank % self.members.len().max(1),
            length => like[rank % length],
        }
    }
}

/// One liar is enough.
fn style(index: usize) -> Style {
    match index % 10 {
        0 | 3 | 6 => Style::OwnLogin,
        2 => Style::ApplicationName,
        4 => Style::Sqlcommenter,
        5 => Style::NoClue,
        8 if index == 8 => Style::Liar,
        _ => Style::SearchPath,
    }
}

/// Log-normal, the biggest first: few are big, most are small, over orders of magnitude.
fn sizes(tenants: usize, rng: &mut StdRng) -> Vec<u32> {
    let mut sizes: Vec<f64> = (0..tenants)
        .map(|_| {
            // Twelve uniforms make a normal that is good enough for a size.
            let normal: f64 = (0..12).map(|_| rng.random::<f64>()).sum::<f64>() - 6.0;
            (normal * 1.8).exp()
        })
        .collect();
    sizes.sort_by(|left, right| right.total_cmp(left));
    let scale = ORDERS_IN_ALL / sizes.iter().sum::<f64>().max(1.0);
    sizes.iter().map(|size| (size * scale).clamp(8.0, 40_000.0) as u32).collect()
}

const LEADS: [&str; 12] = [
    "acme",
    "globex",
    "initech-eu",
    "umbrella-health",
    "hooli",
    "stark-energy",
    "wayne-logistics",
    "soylent-foods",
    "wonka",
    "tyrell",
    "cyberdyne-labs",
    "aperture",
];

const NAMES: [&str; 84] = [
    "abstergo",
    "albatros",
    "altair",
    "ambrosia",
    "anvil",
    "arcadia",
    "argon",
    "atlas",
    "aurora",
    "avalon",
    "basalt",
    "beacon",
    "birch",
    "bluth",
    "borealis",
    "bramble",
    "caldera",
    "carbon",
    "cascade",
    "castor",
    "cedar",
    "cirrus",
    "cobalt",
    "comet",
    "copper",
    "coral",
    "cormorant",
    "crescent",
    "delta",
    "dunder",
    "ember",
    "equinox",
    "falcon",
    "fathom",
    "fjord",
    "flint",
    "gannet",
    "garnet",
    "granite",
    "halcyon",
    "harbor",
    "hazel",
    "heron",
    "horizon",
    "indigo",
    "juniper",
    "kestrel",
    "keystone",
    "lagoon",
    "lantern",
    "larch",
    "lumen",
    "magnolia",
    "marlin",
    "massive",
    "meridian",
    "mistral",
    "monarch",
    "nimbus",
    "nordic",
    "oakridge",
    "obsidian",
    "onyx",
    "orchid",
    "osprey",
    "oxbow",
    "pelican",
    "pioneer",
    "polaris",
    "prestige",
    "quartz",
    "raven",
    "redwood",
    "sable",
    "sequoia",
    "sirius",
    "summit",
    "talon",
    "tundra",
    "vandelay",
    "vertex",
    "willow",
    "zenith",
    "zephyr",
];

const TRADES: [&str; 26] = [
    "bank", "capital", "care", "cargo", "clinics", "cloud", "dental", "energy", "eu", "farms", "foods", "freight",
    "games", "health", "hotels", "insure", "labs", "legal", "media", "motors", "pay", "pharma", "retail", "rail",
    "travel", "us",
];

/// Ids in the order of their owners' size: the leads first, then names, some with a trade, at last numbered ones.
fn ids(count: usize, rng: &mut StdRng) -> Vec<TenantId> {
    let mut plain: Vec<String> = NAMES.iter().map(|&name| name.to_owned()).collect();
    let mut traded: Vec<String> =
        NAMES.iter().flat_map(|name| TRADES.iter().map(move |trade| format!("{name}-{trade}"))).collect();
    plain.shuffle(rng);
    traded.shuffle(rng);
    let numbered: Vec<String> = (2..)
        .take(count / traded.len() + 1)
        .flat_map(|n| traded.iter().map(move |name| format!("{name}-{n}")))
        .collect();
    let mut early = traded.split_off(traded.len() / 2).into_iter();
    let mixed = plain.into_iter().flat_map(|name| [Some(name), early.next()]).flatten().collect::<Vec<_>>();
    LEADS
        .iter()
        .map(|&name| name.to_owned())
        .chain(mixed)
        .chain(early)
        .chain(traded)
        .chain(numbered)
        .take(count)
        .filter_map(|id| TenantId::parse(&id).ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn a_seed_decides_and_names_stay_unique() {
        for count in [1, 3, 9, 40, 2_000, 9_000] {
            let roster = Roster::new(count, Layout::Schema, 7);
            let ids: BTreeSet<&TenantId> = roster.members.iter().map(|member| &member.id).collect();
            assert_eq!(ids.len(), count);
            let again = Roster::new(count, Layout::Schema, 7);
            assert!(roster.members.iter().zip(&again.members).all(|(one, other)| one.id == other.id));
        }
    }

    #[test]
    fn every_style_occurs_and_sizes_differ_by_orders_of_magnitude() {
        let roster = Roster::new(40, Layout::Schema, 1);
        for style in Style::SHARED.into_iter().chain([Style::OwnLogin]) {
            assert!(roster.ranks(style).next().is_some(), "{style:?}");
        }
        assert_eq!(roster.ranks(Style::Liar).count(), 1);
        let liar = &roster.members[roster.cast(Style::Liar, 0)];
        assert!(liar.pretends.as_ref().is_some_and(|other| *other != liar.id));
        let (most, least) = (roster.members[0].orders, roster.members[39].orders);
        assert!(most > 300 * least, "{most} {least}");
        assert!(roster.members.iter().all(|member| member.schema.len() <= 63));
        let big = Roster::new(2_000, Layout::Schema, 1);
        assert!(big.ranks(Style::OwnLogin).count() <= MOST_LOGINS);
    }
}
