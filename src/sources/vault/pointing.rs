//! Where a secret points, from what stands in it, which somebody else wrote: numbers for texts, keys that are missing, too much
//! of everything.

use secrecy::ExposeSecret as _;

use crate::clients::vault::Fields;
use crate::domain::facts::{Leads, Pointing};
use crate::domain::{Foreign, InstanceName};

/// Longer than any host's or PostgreSQL's name: it is none.
const LONGEST: usize = 255;

/// Where an instance is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Door {
    /// Which.
    pub instance: InstanceName,
    /// Host.
    pub host: String,
    /// Port.
    pub port: u16,
}

/// Where a secret points.
pub(super) fn of(fields: &Fields, doors: &[Door]) -> Pointing {
    let mut odd = Vec::new();
    let mut text = |name: &str| {
        let there = fields.names().any(|field| field == name);
        let text = fields.text(name).filter(|text| !text.trim().is_empty() && text.len() <= LONGEST);
        if there && text.is_none() {
            odd.push(name.to_owned());
        }
        text
    };
    let (host, port) = (text("host"), text("port"));
    let mut foreign = |name| text(name).map(Foreign::from);
    let (database, schema, username) = (foreign("database"), foreign("schema"), foreign("username"));
    let has_password = fields.secret("password").is_some_and(|password| !password.expose_secret().is_empty());
    if !has_password && fields.names().any(|field| field == "password") {
        odd.push("password".to_owned());
    }
    let number = port.as_ref().and_then(|port| port.trim().parse().ok()).filter(|port: &u16| *port > 0);
    if port.is_some() && number.is_none() {
        odd.push("port".to_owned());
    }
    let leads = Leads::Nowhere;
    let mut pointing =
        Pointing { host: host.map(Foreign::from), port: number, database, schema, username, has_password, odd, leads };
    pointing.leads = leads_of(&pointing, doors);
    pointing
}

/// Which instance it leads to.
pub(super) fn leads_of(pointing: &Pointing, doors: &[Door]) -> Leads {
    match (&pointing.host, pointing.port) {
        (Some(host), Some(port)) => leads(host.raw(), port, doors),
        _ => Leads::Nowhere,
    }
}

/// Which instance an address is of, by the addresses that the configuration knows.
fn leads(host: &str, port: u16, doors: &[Door]) -> Leads {
    let host = plain(host);
    let mut here = doors.iter().filter(|door| plain(&door.host) == host).peekable();
    if here.peek().is_none() {
        return Leads::Elsewhere;
    }
    here.find(|door| door.port == port).map_or(Leads::Beside, |door| Leads::To(door.instance.clone()))
}

/// A host's name as names are compared.
fn plain(host: &str) -> String {
    let host = host.trim().trim_start_matches('[').trim_end_matches([']', '.']).to_ascii_lowercase();
    if host == "localhost" { "127.0.0.1".to_owned() } else { host }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn fields(value: &Value) -> Fields {
        let Value::Object(map) = value else { panic!("no object") };
        map.iter().fold(Fields::default(), |fields, (name, value)| fields.with(name, value.clone()))
    }

    fn door(instance: &str, host: &str, port: u16) -> Door {
        Door { instance: InstanceName::new(instance), host: host.to_owned(), port }
    }

    #[test]
    fn addresses_are_compared_as_names_are() {
        let doors = [door("shared", "DB.internal", 5432), door("shared", "pool", 6432), door("own", "127.0.0.1", 7)];
        let leads = |host: &str, port: u16| leads(host, port, &doors);
        let to = |name| Leads::To(InstanceName::new(name));
        assert_eq!(leads("db.INTERNAL.", 5432), to("shared"));
        assert_eq!(leads("pool", 6432), to("shared"));
        assert_eq!(leads("localhost", 7), to("own"));
        assert_eq!(leads("db.internal", 5433), Leads::Beside);
        assert_eq!(leads("db.example", 5432), Leads::Elsewhere);
    }

    #[test]
    fn whatever_stands_in_a_secret_is_told_or_called_odd() {
        let doors = [door("shared", "h", 5432)];
        let fine = of(&fields(&json!({"host": "h", "port": "5432", "schema": 7, "password": "hunter2"})), &doors);
        assert_eq!(fine.leads, Leads::To(InstanceName::new("shared")));
        assert_eq!((fine.schema, fine.has_password), (Some(Foreign::from("7")), true));
        let odd = of(
            &fields(&json!({
                "host": ["h"], "port": 99_999, "database": null, "schema": {"a": 1}, "username": "x".repeat(100_000),
                "password": ""
            })),
            &doors,
        );
        assert_eq!(odd.leads, Leads::Nowhere);
        assert_eq!(odd.odd, ["host", "database", "schema", "username", "password", "port"]);
        assert!(!odd.has_password);
        let none = of(&Fields::default(), &doors);
        assert_eq!((none.odd.len(), none.leads), (0, Leads::Nowhere));
        let far = of(&fields(&json!({"host": "h", "port": 5432.5})), &doors);
        assert_eq!((far.odd, far.port), (vec!["port".to_owned()], None));
    }
}
