//! Where a request for a part goes: a target with the scenario's number put in, or whatever a
//! closure makes of the request.

use super::route::Route;
use hangup_scenario::Head;
use std::fmt;
use std::sync::Arc;

/// A request that a scenario makes for a part, on its way to a server of one's own. See
/// [`Bed::route_with`](crate::Bed::route_with).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Request {
    /// The method that the scenario asks with.
    pub method: String,
    /// The target; `/` before it is changed.
    pub target: String,
    /// Further fields, name and value. `Host`, `Connection`, `Expect` and the framing of a body are
    /// not among them: these belong to the scenario.
    pub headers: Vec<(String, String)>,
    /// What the scenario chooses: how many bytes [`Route::Big`] gives, after how many milliseconds
    /// [`Route::Slow`] answers, or how many lie between two events of [`Route::Ticks`]. `None` for
    /// every other part.
    pub number: Option<u64>,
}

/// What makes a request for a part one that the server knows.
pub(super) type Change = dyn Fn(&mut Request) + Send + Sync;

/// Where a part is played.
#[derive(Clone)]
pub(super) enum Target {
    /// At this target; `{bytes}`, `{ms}` and `{s}` stand for the scenario's number.
    Text(String),
    /// Where the closure says.
    Made(Arc<Change>),
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => text.fmt(f),
            Self::Made(_) => f.write_str("a closure"),
        }
    }
}

/// Two numbers that differ in every unit in which a target may want them.
const NUMBERS: [u64; 2] = [10 << 30, 20 << 30];

impl Target {
    /// The head, asked at this target.
    pub(super) fn fit(&self, head: &mut Head, number: Option<u64>) {
        match self {
            Self::Text(text) => head.target = filled(text, number).into(),
            Self::Made(change) => {
                let fields = head.headers.iter();
                let mut request = Request {
                    method: head.method.to_string(),
                    target: "/".to_owned(),
                    headers: fields
                        .map(|(name, value)| (name.to_string(), value.to_string()))
                        .collect(),
                    number,
                };
                change(&mut request);
                head.method = request.method.into();
                head.target = request.target.into();
                let fields = request.headers.into_iter();
                head.headers = fields
                    .map(|(name, value)| (name.into(), value.into()))
                    .collect();
            }
        }
    }

    /// The targets of all requests for this part: `{}` stands for a number.
    pub(super) fn pattern(&self, route: Route) -> Arc<str> {
        let [one, other] = NUMBERS.map(|number| {
            let mut head = Head::default();
            self.fit(&mut head, route.has_number().then_some(number));
            head.target.to_string()
        });
        if one == other {
            return one.into();
        }
        // Equal digits at the edge of what differs are the number's own.
        let is_digit = |char: char| char.is_ascii_digit();
        let before = common(one.chars(), other.chars());
        let before = one[..before].trim_end_matches(is_digit);
        let behind = common(one.chars().rev(), other.chars().rev());
        let behind = one[one.len() - behind..].trim_start_matches(is_digit);
        format!("{before}{{}}{behind}").into()
    }

    /// A placeholder that nothing is put in for.
    pub(super) fn unknown_placeholder(&self, route: Route) -> Option<String> {
        let Self::Text(text) = self else { return None };
        let filled = filled(text, route.has_number().then_some(0));
        let from = filled.find('{')?;
        let to = from + filled[from..].find('}')?;
        Some(filled[from..=to].to_owned())
    }
}

/// How many bytes two texts have in common, from where they are read.
fn common(one: impl Iterator<Item = char>, other: impl Iterator<Item = char>) -> usize {
    let pairs = one.zip(other).take_while(|(one, other)| one == other);
    pairs.map(|(char, _)| char.len_utf8()).sum()
}

/// The text with the number in place of its placeholders. Seconds are rounded up.
fn filled(text: &str, number: Option<u64>) -> String {
    let Some(number) = number.filter(|_| text.contains('{')) else {
        return text.to_owned();
    };
    let plain = number.to_string();
    text.replace("{bytes}", &plain)
        .replace("{ms}", &plain)
        .replace("{s}", &number.div_ceil(1000).to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(target: &Target, number: Option<u64>) -> Head {
        let mut head = Head::default();
        target.fit(&mut head, number);
        head
    }

    #[test]
    fn the_number_of_a_scenario_stands_where_the_target_has_a_place_for_it() {
        let of = |text: &str| asked(&Target::Text(text.into()), Some(1_500)).target;
        assert_eq!(&*of("/file?size={bytes}"), "/file?size=1500");
        assert_eq!(&*of("/wait/{ms}/ms"), "/wait/1500/ms");
        assert_eq!(&*of("/wait/{s}"), "/wait/2");
        assert_eq!(&*of("/wait"), "/wait");
    }

    #[test]
    fn a_closure_changes_what_is_asked_and_not_how_it_is_framed() {
        let target = Target::Made(Arc::new(|request: &mut Request| {
            let mib = request.number.unwrap_or(0) >> 20;
            request.method = "PUT".into();
            request.target = format!("/file?mib={mib}");
            request.headers.push(("Accept".into(), "a/b".into()));
        }));
        let mut head = Head {
            length: Some(5),
            ..Head::new("POST", "/big/3145728")
        };
        target.fit(&mut head, Some(3 << 20));
        assert_eq!(
            (&*head.method, &*head.target, head.length),
            ("PUT", "/file?mib=3", Some(5))
        );
        assert_eq!(head.headers, [("Accept".into(), "a/b".into())]);
    }

    #[test]
    fn all_targets_of_a_part_have_one_pattern() {
        let text = |text: &str| Target::Text(text.to_owned());
        assert_eq!(&*text("/tick/{ms}").pattern(Route::Ticks), "/tick/{}");
        assert_eq!(&*text("/t?s={s}&x=1").pattern(Route::Ticks), "/t?s={}&x=1");
        assert_eq!(&*text("/events").pattern(Route::Events), "/events");
        let made = Target::Made(Arc::new(|request: &mut Request| {
            request.target = format!("/t/{}", request.number.unwrap_or(0) / 1000);
        }));
        assert_eq!(&*made.pattern(Route::Ticks), "/t/{}");
    }

    #[test]
    fn a_placeholder_without_a_number_is_known() {
        let unknown = |text: &str, route| Target::Text(text.into()).unknown_placeholder(route);
        assert_eq!(unknown("/f/{bytes}", Route::Big), None);
        assert_eq!(unknown("/f/{size}", Route::Big).as_deref(), Some("{size}"));
        assert_eq!(unknown("/f/{ms}", Route::Never).as_deref(), Some("{ms}"));
    }
}
