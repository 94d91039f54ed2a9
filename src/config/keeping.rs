//! Where what is remembered of a configuration lies, and what its files are called after.

use std::path::PathBuf;

use super::Config;
use crate::clients::Environment;

impl Config {
    /// The folder of what is remembered: the configuration's own, else the user's. `None` where the system has no such folder.
    pub fn state_folder(&self, environment: &Environment) -> Option<PathBuf> {
        let own = self.state.as_ref().map(|folder| environment.expand(folder));
        own.or_else(|| environment.state_folder.clone())
    }

    /// What is remembered is of these instances at these addresses and of no others, whatever the configuration's file is
    /// called and who logs in: the name of one environment's `shared` is the name of another's.
    pub fn identity(&self) -> String {
        let mut places: Vec<String> =
            self.instances.iter().map(|instance| format!("{}={}", instance.name, address(&instance.url))).collect();
        places.sort_unstable();
        // FNV-1a: it has to be the same in every version of the program, and no more than that.
        let mut hash = 0xcbf2_9ce4_8422_2325_u64;
        let words = std::iter::once(&self.environment).chain(&places);
        for byte in words.flat_map(|word| word.bytes().chain([0])) {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
        let plain: String = self.environment.chars().filter(char::is_ascii_alphanumeric).take(20).collect();
        format!("{plain}-{hash:016x}")
    }
}

/// Hosts, ports and database of a URL, without the login and the settings.
fn address(url: &str) -> &str {
    let behind = url.split_once("://").map_or(url, |(_, behind)| behind);
    let place = behind.split_once('?').map_or(behind, |(place, _)| place);
    place.rsplit_once('@').map_or(place, |(_, place)| place)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::config::parse;

    fn config(environment: &str, instances: &[(&str, &str)]) -> Config {
        let tables = instances.iter().map(|(name, url)| {
            format!("[[instance]]\nname = \"{name}\"\ntier = \"shared\"\nurl = \"postgresql://{url}\"\n")
        });
        let text = format!("environment = \"{environment}\"\n{}", tables.collect::<String>());
        parse(&text, Path::new("/etc/deck/tierdeck.toml")).unwrap()
    }

    #[test]
    fn the_name_is_that_of_the_instances_and_stays() {
        let name = config("prod", &[("shared", "a@db/p"), ("acme", "a@db:2/p")]).identity();
        assert!(name.starts_with("prod-"), "{name}");
        let others = |environment, instances: &[(&str, &str)]| config(environment, instances).identity();
        assert_eq!(name, others("prod", &[("acme", "b@db:2/p"), ("shared", "a@db/p?sslmode=require")]));
        assert_ne!(name, others("prod", &[("shared", "a@db/p")]));
        assert_ne!(name, others("staging", &[("shared", "a@db/p"), ("acme", "a@db:2/p")]));
        assert_ne!(others("prod", &[("shared", "a@db.eu/p")]), others("prod", &[("shared", "a@db.us/p")]));
        assert!(others("../x y", &[("shared", "a@db/p")]).starts_with("xy-"), "no name leads out of the folder");
    }

    #[test]
    fn the_folder_is_the_configurations_then_the_users() {
        let mut config = config("prod", &[("shared", "a@db/p")]);
        let mut environment = Environment::default();
        assert_eq!(config.state_folder(&environment), None);
        environment.state_folder = Some("/home/ann/state".into());
        assert_eq!(config.state_folder(&environment), Some("/home/ann/state".into()));
        let text =
            "state = \"memory\"\n[[instance]]\nname = \"shared\"\ntier = \"shared\"\nurl = \"postgresql://a@db/p\"\n";
        config = parse(text, Path::new("/etc/deck/tierdeck.toml")).unwrap();
        assert_eq!(config.state_folder(&environment), Some("/etc/deck/memory".into()));
    }
}
