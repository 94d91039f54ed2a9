//! The operator's own themes: files in the configuration folder, read at the start and again whenever one changes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use tokio::sync::mpsc;
use tokio::time::MissedTickBehavior;

use crate::app::{Report, Theme};
use crate::clients::Environment;
use crate::domain::foreign::sanitise;

/// How often it is looked whether a file changed.
const EVERY: Duration = Duration::from_secs(1);

/// The most themes that are read, and the longest file.
const MOST: usize = 64;
const LONGEST: u64 = 64 * 1024;

/// When which file was changed last, and how long it is.
type Seen = BTreeMap<PathBuf, (Option<SystemTime>, u64)>;

/// All themes, and what is wrong with files that are none.
#[derive(Debug, Default)]
pub(super) struct Stock {
    /// Those that come along, with one's own over them.
    pub themes: Vec<Theme>,
    /// The first error, and how many more there are.
    pub problem: Option<String>,
    seen: Seen,
}

/// Where one's own themes are: beside the configuration that is used, if there are any, else in the user's folder.
pub(super) fn folder(environment: &Environment, config: Option<&Path>) -> Option<PathBuf> {
    let beside = config.and_then(Path::parent).map(|folder| folder.join("themes")).filter(|folder| folder.is_dir());
    beside.or_else(|| environment.config_folder.as_ref().map(|folder| folder.join("tierdeck").join("themes")))
}

/// Reads every theme there is.
pub(super) fn load(folder: Option<&Path>) -> Stock {
    let seen = look(folder);
    let mut themes = Theme::built_in().to_vec();
    let mut problems = Vec::new();
    for (path, (_, length)) in &seen {
        let name = path.file_stem().unwrap_or_default().to_string_lossy();
        let read = if *length > LONGEST {
            Err(format!("theme {name}.toml is too long for a theme"))
        } else {
            fs::read_to_string(path).map_err(|error| format!("theme {name}.toml cannot be read: {error}"))
        };
        match read.and_then(|text| Theme::parse(&name, &text).map_err(|error| error.to_string())) {
            Ok(theme) => match themes.iter_mut().find(|other| other.name == theme.name) {
                Some(other) => *other = theme,
                None => themes.push(theme),
            },
            Err(problem) => problems.push(sanitise(&problem).into_owned()),
        }
    }
    let more = problems.len().saturating_sub(1);
    let problem = problems.into_iter().next();
    let problem = problem.map(|said| if more > 0 { format!("{said} (and {more} more)") } else { said });
    Stock { themes, problem, seen }
}

fn look(folder: Option<&Path>) -> Seen {
    let entries = folder.and_then(|folder| fs::read_dir(folder).ok());
    let files = entries.into_iter().flatten().filter_map(|entry| {
        let path = entry.ok()?.path();
        let is_theme = path.extension().is_some_and(|ending| ending == "toml");
        // Editors write beside the file and put it in place: what begins with a dot is not finished.
        let hidden = path.file_name()?.to_string_lossy().starts_with('.');
        let file = fs::metadata(&path).ok().filter(fs::Metadata::is_file)?;
        (is_theme && !hidden).then(|| (path, (file.modified().ok(), file.len())))
    });
    files.take(MOST).collect()
}

/// Tells of every change from now on. Looked at once a second rather than watched: it works on every file system and
/// costs nothing.
pub(super) async fn watch(folder: Option<PathBuf>, mut stock: Stock, report: mpsc::Sender<Report>) {
    if folder.is_none() {
        return;
    }
    let mut tick = tokio::time::interval(EVERY);
    tick.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tick.tick().await;
        let (folder, seen) = (folder.clone(), std::mem::take(&mut stock.seen));
        let looked = tokio::task::spawn_blocking(move || {
            let now = look(folder.as_deref());
            if now == seen { Err(seen) } else { Ok(load(folder.as_deref())) }
        });
        match looked.await {
            Ok(Ok(changed)) => {
                stock = changed;
                if report.send(Report::Themes(stock.themes.clone(), stock.problem.clone())).await.is_err() {
                    return;
                }
            }
            Ok(Err(seen)) => stock.seen = seen,
            Err(_) => return,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn one_s_own_are_read_and_read_again_when_they_change() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("mine.toml");
        fs::write(&file, "accent = \"#010203\"").unwrap();
        fs::write(folder.path().join(".mine.toml.swp"), "what").unwrap();
        fs::write(folder.path().join("notes.txt"), "what").unwrap();
        let stock = load(Some(folder.path()));
        assert_eq!((stock.themes.len(), &stock.problem), (Theme::built_in().len() + 1, &None));
        let before = stock.themes.last().cloned();
        let (report, mut reports) = mpsc::channel(4);
        let watching = tokio::spawn(watch(Some(folder.path().to_owned()), stock, report));
        fs::write(&file, "accent = \"#a0b0c0\" # longer").unwrap();
        let Some(Report::Themes(themes, None)) = reports.recv().await else { panic!("no change told") };
        assert_ne!(themes.last().cloned(), before);
        fs::write(&file, "\naccnt = \"#a0b0c0\"").unwrap();
        let Some(Report::Themes(themes, Some(problem))) = reports.recv().await else { panic!("no problem told") };
        assert!(problem.contains("mine.toml, line 2") && problem.contains("did you mean accent?"), "{problem}");
        assert_eq!(themes.len(), Theme::built_in().len());
        fs::remove_file(&file).unwrap();
        let Some(Report::Themes(_, None)) = reports.recv().await else { panic!("no end told") };
        watching.abort();
    }

    #[test]
    fn they_are_beside_the_configuration_or_in_the_user_s_folder() {
        let place = tempfile::tempdir().unwrap();
        let config = place.path().join("tierdeck.toml");
        let mut environment = Environment::default();
        environment.config_folder = Some("/home/ann/.config".into());
        let users = Some(PathBuf::from("/home/ann/.config/tierdeck/themes"));
        assert_eq!(folder(&environment, Some(&config)), users);
        fs::create_dir(place.path().join("themes")).unwrap();
        assert_eq!(folder(&environment, Some(&config)), Some(place.path().join("themes")));
        assert_eq!(folder(&environment, None), users);
    }

    #[test]
    fn one_s_own_takes_the_place_of_one_that_comes_along() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("dark.toml"), "accent = \"#010203\"").unwrap();
        let stock = load(Some(folder.path()));
        assert_eq!(stock.themes.len(), Theme::built_in().len());
        assert_ne!(stock.themes[0], Theme::built_in()[0]);
        assert_eq!(load(None).themes, Theme::built_in());
    }
}
