//! What somebody meant who wrote a word that is not known.

/// The known word that somebody who wrote `text` most likely meant; `None` when nothing is near.
pub fn did_you_mean<'a>(text: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let near = |candidate: &'a str| {
        let score = strsim::normalized_damerau_levenshtein(text, candidate);
        let part = text.len() >= 4 && (candidate.starts_with(text) || text.starts_with(candidate));
        Some((if part { score.max(0.7) } else { score }, candidate)).filter(|(score, _)| *score >= 0.6)
    };
    known.into_iter().filter_map(near).max_by(|one, other| one.0.total_cmp(&other.0)).map(|(_, candidate)| candidate)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suggestions_are_near() {
        let known = ["role_limit", "connections", "lock_wait_seconds", "url"];
        assert_eq!(did_you_mean("role_limt", known), Some("role_limit"));
        assert_eq!(did_you_mean("lock_wait", known), Some("lock_wait_seconds"));
        assert_eq!(did_you_mean("ulr", known), Some("url"));
        assert_eq!(did_you_mean("frobnicate", known), None);
    }
}
