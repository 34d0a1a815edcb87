//! The text of a file: its syntax, its lines.

use std::ops::Range;

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::error::{Mistake, ReadError};

/// The text of a file and the name it goes by.
#[derive(Clone, Copy)]
pub(super) struct Source<'s> {
    pub(super) file: &'s str,
    pub(super) text: &'s str,
}

impl<'s> Source<'s> {
    /// The line, from 1, on which the byte with this offset stands.
    fn line(&self, offset: usize) -> usize {
        let before = &self.text.as_bytes()[..offset.min(self.text.len())];
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    /// A mistake at the byte with this offset.
    pub(super) fn error(
        &self,
        offset: usize,
        field: impl Into<String>,
        mistake: Mistake,
    ) -> ReadError {
        ReadError {
            file: self.file.to_owned(),
            line: Some(self.line(offset)),
            field: field.into(),
            mistake: Box::new(mistake),
        }
    }

    /// The text of a span, cut to what fits into an error.
    pub(super) fn excerpt(&self, span: Range<usize>) -> String {
        const CHARS_MAX: usize = 40;
        let text = self.text.get(span).unwrap_or_default();
        match text.char_indices().nth(CHARS_MAX) {
            Some((end, _)) => format!("{}...", &text[..end]),
            None => text.to_owned(),
        }
    }

    /// The text as a TOML table.
    ///
    /// The escapes in `bytes` are those of Rust, which are not quite those of TOML: an error of the TOML parser
    /// within such a string is passed over here, since `escape` judges these strings by themselves.
    pub(super) fn parse(&self) -> Result<DeTable<'s>, ReadError> {
        let (table, errors) = DeTable::parse_recoverable(self.text);
        let mut ours = Vec::new();
        if !errors.is_empty() {
            spans_of_bytes(table.get_ref(), &mut ours);
            ours.sort_by_key(|span| span.start);
        }
        let within_ours = |offset: usize| {
            let before = ours.partition_point(|span| span.start < offset);
            ours[..before].last().is_some_and(|span| offset < span.end)
        };
        let error = errors
            .iter()
            .find(|error| error.span().is_none_or(|at| !within_ours(at.start)));
        match error {
            None => Ok(table.into_inner()),
            Some(error) => {
                let span = error.span().unwrap_or(0..0);
                let mut message = error.message().to_owned();
                let near = self.excerpt(span.start..self.end_of_line(span.start));
                if !near.is_empty() {
                    message += &format!(", at {near:?}");
                }
                Err(self.error(span.start, "", Mistake::Syntax(message)))
            }
        }
    }

    fn end_of_line(&self, offset: usize) -> usize {
        let rest = self.text.as_bytes().get(offset..).unwrap_or_default();
        let length = rest.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
        offset + length.unwrap_or(rest.len())
    }
}

/// The spans of all strings that are the value of a field `bytes`.
fn spans_of_bytes(table: &DeTable<'_>, spans: &mut Vec<Range<usize>>) {
    for (key, value) in table {
        if key.get_ref() == "bytes" && value.get_ref().is_str() {
            spans.push(value.span());
        } else {
            spans_of_bytes_within(value, spans);
        }
    }
}

fn spans_of_bytes_within(value: &Spanned<DeValue<'_>>, spans: &mut Vec<Range<usize>>) {
    match value.get_ref() {
        DeValue::Table(table) => spans_of_bytes(table, spans),
        DeValue::Array(array) => array
            .iter()
            .for_each(|value| spans_of_bytes_within(value, spans)),
        _ => {}
    }
}
