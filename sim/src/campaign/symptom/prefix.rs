//! What log collectors and mail programs put before each line.

/// The text without such prefixes.
pub(super) fn without(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        out.push_str(strip(line));
        out.push('\n');
    }
    out
}

/// `> ` of a mail, `app-1  | ` of docker compose, `Jan 01 00:00:00 host app[12]: ` of journald, and a time before the line.
fn strip(line: &str) -> &str {
    let mut line = line;
    loop {
        let rest = [quote, compose, journal, time]
            .iter()
            .find_map(|strip| strip(line));
        match rest {
            Some(rest) => line = rest,
            None => return line,
        }
    }
}

fn quote(line: &str) -> Option<&str> {
    let rest = line.strip_prefix('>')?;
    Some(rest.strip_prefix(' ').unwrap_or(rest))
}

fn compose(line: &str) -> Option<&str> {
    let (name, rest) = line.split_once('|')?;
    let name = name.trim_end();
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    (!name.is_empty() && name.bytes().all(is_name)).then(|| rest.strip_prefix(' ').unwrap_or(rest))
}

/// The unit with its process number is the last word before the message.
fn journal(line: &str) -> Option<&str> {
    let (before, rest) = line
        .split_once("]: ")
        .or_else(|| Some((line.strip_suffix("]:")?, "")))?;
    let (before, number) = before.rsplit_once('[')?;
    let is_number = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    let has_time = before.split(' ').any(|word| word.split(':').count() >= 3);
    (is_number && has_time).then_some(rest)
}

/// `2026-01-31T12:00:00.123Z `, as `docker logs -t` and `kubectl logs --timestamps` write it.
fn time(line: &str) -> Option<&str> {
    let (time, rest) = line.split_once(' ').unwrap_or((line, ""));
    let (day, clock) = time.split_once('T')?;
    let is_day = day.len() == 10
        && day
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b'-');
    (is_day && clock.contains(':')).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prefixes_go_and_stacks_stay() {
        for (line, rest) in [
            (
                "app-1  | goroutine 7 [IO wait, 3 minutes]:",
                "goroutine 7 [IO wait, 3 minutes]:",
            ),
            ("app-1  |", ""),
            (
                "> > net/http.(*conn).serve(0xc0)",
                "net/http.(*conn).serve(0xc0)",
            ),
            (
                "Jan 31 12:00:00 host app[123]: \t/server.go:1 +0x1",
                "\t/server.go:1 +0x1",
            ),
            ("2026-01-31T12:00:00.123456789Z main.main()", "main.main()"),
        ] {
            assert_eq!(strip(line), rest);
        }
        for line in [
            "goroutine 7 [IO wait, 3 minutes]:",
            "412 @ 0x43a2e5 0x4065d3",
            "net/http.(*conn).serve(0xc0002a4000, {0x8f7060, 0xc0004b6db0})",
            "\u{2514}\u{257c} a::b::c at x.rs:1:1",
            "412 in expect, oldest 29h17m, deadline none (as fasthttp's defaults)",
        ] {
            assert_eq!(strip(line), line);
        }
    }
}
