//! The nearest right name, for whoever wrote a wrong one.

use strsim::damerau_levenshtein;

/// A name in which the wrong one is contained is near if that has so many characters.
const PART_MIN: usize = 4;

/// The allowed name that is nearest to `word`: one with few characters changed (one in three at most, and one in any case), or the
/// shortest that contains it. Of equals it is the first. `None` if nothing is near.
///
/// ```
/// use hangup_scenario::nearest::nearest;
///
/// assert_eq!(nearest("conect", ["connect", "close"]), Some("connect"));
/// assert_eq!(nearest("1834", ["half-head", "fasthttp-1834"]), Some("fasthttp-1834"));
/// assert_eq!(nearest("fly", ["connect", "close"]), None);
/// ```
pub fn nearest<'a>(word: &str, allowed: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let most = (word.chars().count() / 3).max(1);
    let distances = allowed.into_iter().filter_map(|name| {
        let is_part = word.chars().count() >= PART_MIN && name.contains(word);
        let distance = damerau_levenshtein(word, name);
        (distance <= most || is_part).then_some((distance, name))
    });
    distances
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, name)| name)
}

/// What a message about the unknown `word` ends with: `; did you mean "connect"?`, or nothing.
pub fn did_you_mean<'a>(word: &str, allowed: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, allowed).map_or_else(String::new, |name| format!("; did you mean {name:?}?"))
}

/// The names in a list for people: `"keep" or "erase"`, `connect, close`.
pub(crate) fn names(list: &str) -> impl Iterator<Item = &str> {
    let words = list.split(", ").flat_map(|part| part.split(" or "));
    let words = words.map(|word| word.trim().trim_matches('"'));
    words.filter(|word| !word.is_empty() && !word.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_changes_are_near_and_many_are_not() {
        let steps = ["connect", "close", "stall", "send"];
        for (word, expected) in [
            ("stal", Some("stall")),
            ("sned", Some("send")),
            ("conntect", Some("connect")),
            ("connection", Some("connect")),
            ("closed", Some("close")),
            ("open", None),
            ("", None),
            ("sen", Some("send")),
        ] {
            assert_eq!(nearest(word, steps), expected, "{word}");
        }
    }

    #[test]
    fn the_names_of_a_list_are_read_and_its_phrases_are_not() {
        let list = "\"both\", \"to_server\" or \"to_client\", or an integer from 1 to 3";
        assert_eq!(
            names(list).collect::<Vec<_>>(),
            ["both", "to_server", "to_client"]
        );
    }
}
