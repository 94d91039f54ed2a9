//! Access privileges as values: what an ACL of the server says, item by item and in its order, and what a GRANT and a REVOKE make
//! of it. By this a plan knows beforehand what the fence leaves, and whether what brings the ACL back brings it back exactly.

use std::collections::BTreeMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// Every privilege of what lives in a schema, with its letter, in the order in which the server writes them.
const LETTERS: [(&str, char); 11] = [
    ("INSERT", 'a'),
    ("SELECT", 'r'),
    ("UPDATE", 'w'),
    ("DELETE", 'd'),
    ("TRUNCATE", 'D'),
    ("REFERENCES", 'x'),
    ("TRIGGER", 't'),
    ("EXECUTE", 'X'),
    ("USAGE", 'U'),
    ("CREATE", 'C'),
    ("MAINTAIN", 'm'),
];

/// One `aclitem`: who may do what, by whose word.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Item {
    /// The grantee; `None`: PUBLIC.
    pub to: Option<String>,
    /// The grantor.
    pub by: String,
    /// Privileges, and whether they may be handed on.
    pub may: BTreeMap<String, bool>,
}

/// An ACL. One that is not explicit (NULL in the catalogue) has the items that this means.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Acl {
    /// Whether there is one at all.
    pub explicit: bool,
    /// In the server's order.
    pub items: Vec<Item>,
}

/// What is granted or revoked in one go, by one role.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Change {
    /// Everything that is asked for here, from all of them.
    Revoke { by: String, rights: Vec<String>, from: Vec<Option<String>>, cascade: bool },
    /// To one of them.
    Grant { by: String, rights: Vec<String>, to: Option<String>, hand_on: bool },
}

impl Change {
    pub fn by(&self) -> &str {
        match self {
            Self::Revoke { by, .. } | Self::Grant { by, .. } => by,
        }
    }
}

/// In the server's order.
pub(super) fn sorted<'a>(rights: impl IntoIterator<Item = &'a str>) -> Vec<String> {
    let mut rights: Vec<&str> = rights.into_iter().collect();
    rights.sort_by_key(|right| LETTERS.iter().position(|(name, _)| name == right));
    rights.dedup();
    rights.into_iter().map(str::to_owned).collect()
}

impl Acl {
    /// None at all: what a column mostly has.
    pub fn none() -> Self {
        Self { explicit: false, items: Vec::new() }
    }

    fn find(&mut self, to: Option<&str>, by: &str) -> Option<&mut Item> {
        self.items.iter_mut().find(|item| item.to.as_deref() == to && item.by == by)
    }

    /// Whether a role may hand a right on.
    pub fn may_hand_on(&self, role: &str, owner: &str, right: &str) -> bool {
        role == owner
            || self.items.iter().any(|item| item.to.as_deref() == Some(role) && item.may.get(right) == Some(&true))
    }

    /// As the server does it; what hung on a right that somebody handed on goes with it.
    pub(super) fn apply(&mut self, change: &Change, owner: &str) {
        match change {
            Change::Revoke { by, rights, from, .. } => {
                self.explicit = true;
                for to in from {
                    self.take(to.as_deref(), by, rights, owner);
                }
            }
            Change::Grant { by, rights, to, hand_on } => {
                self.explicit = true;
                if self.find(to.as_deref(), by).is_none() {
                    self.items.push(Item { to: to.clone(), by: by.clone(), may: BTreeMap::new() });
                }
                if let Some(item) = self.find(to.as_deref(), by) {
                    for right in rights {
                        *item.may.entry(right.clone()).or_default() |= hand_on;
                    }
                }
            }
        }
    }

    fn take(&mut self, to: Option<&str>, by: &str, rights: &[String], owner: &str) {
        let Some(item) = self.find(to, by) else { return };
        item.may.retain(|right, _| !rights.contains(right));
        self.items.retain(|item| !item.may.is_empty());
        let Some(role) = to else { return };
        let lost: Vec<String> = rights.iter().filter(|right| !self.may_hand_on(role, owner, right)).cloned().collect();
        let hang: Vec<Option<String>> = self
            .items
            .iter()
            .filter(|item| item.by == role && item.may.keys().any(|right| lost.contains(right)))
            .map(|item| item.to.clone())
            .collect();
        for next in hang {
            self.take(next.as_deref(), role, &lost, owner);
        }
    }

    /// What brings it from what it is to what it was, and leaves it as it is then. The order of the items is kept as far as the
    /// server lets it be kept: a new item goes to the end, so what has to stand behind it is taken and given again.
    pub(super) fn mend(&mut self, was: &Self, owner: &str) -> Vec<Change> {
        let mut changes = Vec::new();
        if *self == *was || !was.explicit && !self.explicit {
            return changes;
        }
        let place = |item: &Item| was.items.iter().position(|old| old.to == item.to && old.by == item.by);
        let here: Vec<usize> = self.items.iter().filter_map(place).collect();
        if let Some(missing) = (0..was.items.len()).find(|number| !here.contains(number)) {
            for number in here.iter().rev().filter(|number| **number > missing) {
                let Item { to, by, .. } = &was.items[*number];
                if let Some(item) = self.find(to.as_deref(), by) {
                    let rights = sorted(item.may.keys().map(String::as_str));
                    let revoke = Change::Revoke { by: by.clone(), rights, from: vec![to.clone()], cascade: false };
                    self.apply(&revoke, owner);
                    changes.push(revoke);
                }
            }
        }
        // Who was given the right to hand on comes before those who got theirs from there.
        let mut waiting: Vec<&Item> = was.items.iter().collect();
        while !waiting.is_empty() {
            let before = waiting.len();
            waiting.retain(|item| {
                let may = item.may.keys().all(|right| self.may_hand_on(&item.by, owner, right));
                if may {
                    for change in self.missing(item) {
                        self.apply(&change, owner);
                        changes.push(change);
                    }
                }
                !may
            });
            if waiting.len() == before {
                break;
            }
        }
        changes
    }

    fn missing(&mut self, item: &Item) -> Vec<Change> {
        let has = self.find(item.to.as_deref(), &item.by).map(|item| item.may.clone()).unwrap_or_default();
        [false, true]
            .into_iter()
            .filter_map(|hand_on| {
                let rights = item
                    .may
                    .iter()
                    .filter(|(right, with)| **with == hand_on && has.get(*right).is_none_or(|now| hand_on && !now));
                let rights = sorted(rights.map(|(right, _)| right.as_str()));
                let grant = Change::Grant { by: item.by.clone(), rights, to: item.to.clone(), hand_on };
                (!matches!(&grant, Change::Grant { rights, .. } if rights.is_empty())).then_some(grant)
            })
            .collect()
    }

    /// Whether it says the same in whatever order, explicitly or not.
    pub fn means(&self, other: &Self) -> bool {
        let sorted = |acl: &Self| {
            let mut items = acl.items.clone();
            items.sort();
            items
        };
        sorted(self) == sorted(other)
    }
}

/// As the server writes it.
impl fmt::Display for Acl {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.explicit {
            return out.write_str("none");
        }
        let item = |item: &Item| {
            let mut text = format!("{}=", item.to.as_deref().unwrap_or_default());
            for (name, letter) in LETTERS {
                match item.may.get(name) {
                    Some(true) => text.extend([letter, '*']),
                    Some(false) => text.push(letter),
                    None => {}
                }
            }
            format!("{text}/{}", item.by)
        };
        write!(out, "{{{}}}", self.items.iter().map(item).collect::<Vec<_>>().join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `bob=a*r/own,=r/own`
    fn acl(text: &str) -> Acl {
        let item = |text: &str| {
            let (to, rest) = text.split_once('=').unwrap();
            let (letters, by) = rest.split_once('/').unwrap();
            let mut may = BTreeMap::new();
            let mut last = "";
            for letter in letters.chars() {
                if letter == '*' {
                    may.insert(last.to_owned(), true);
                } else {
                    last = LETTERS.iter().find(|(_, it)| *it == letter).unwrap().0;
                    may.insert(last.to_owned(), false);
                }
            }
            Item { to: (!to.is_empty()).then(|| to.to_owned()), by: by.to_owned(), may }
        };
        Acl { explicit: true, items: text.split(',').filter(|it| !it.is_empty()).map(item).collect() }
    }

    fn fenced(was: &Acl) -> Acl {
        let mut now = was.clone();
        let from = was.items.iter().filter(|it| it.by == "own").map(|it| it.to.clone()).collect();
        let rights = sorted(LETTERS.iter().map(|(name, _)| *name).filter(|name| *name != "SELECT"));
        now.apply(&Change::Revoke { by: "own".to_owned(), rights, from, cascade: true }, "own");
        now
    }

    #[test]
    fn what_is_taken_takes_along_what_hung_on_it() {
        let was = acl("own=arwdDxt/own,bob=a*r/own,carol=a/bob,=r/own,dave=w/own");
        assert_eq!(fenced(&was).to_string(), "{own=r/own,bob=r/own,=r/own}");
        // Who may hand it on by somebody else's word too still may.
        let mut two = acl("own=a/own,bob=a*/own,eve=a*/own,bob=a*/eve,carol=a/bob");
        let rights = vec!["INSERT".to_owned()];
        two.apply(
            &Change::Revoke { by: "own".to_owned(), rights, from: vec![Some("bob".to_owned())], cascade: true },
            "own",
        );
        assert_eq!(two.to_string(), "{own=a/own,eve=a*/own,bob=a*/eve,carol=a/bob}");
    }

    #[test]
    fn what_is_mended_is_what_it_was_in_its_order() {
        for was in [
            "own=arwdDxt/own,svc=arwd/own",
            "own=arwdDxt/own,writer=a/own,svc=arwd/own,=r/own",
            "own=arwdDxt/own,bob=a*r/own,carol=a/bob,=r/own,dave=w/own",
            "own=aw/own,svc=r/own",
            "svc=aw/own,own=arwdDxt/own,=r*w/own",
            "own=arwdDxtm/own,bob=a*r*/own,carol=ar/bob,dave=r/own",
            "",
        ] {
            let was = acl(was);
            let mut now = fenced(&was);
            let changes = now.mend(&was, "own");
            assert_eq!(now, was, "{changes:?}");
            assert_eq!(now.mend(&was, "own"), [], "twice is nothing");
        }
        // What the server has no way to: the meaning is the same.
        let was = Acl { explicit: false, ..acl("own=arwdDxt/own") };
        let mut now = fenced(&was);
        now.mend(&was, "own");
        assert!(now != was && now.means(&was));
    }
}
