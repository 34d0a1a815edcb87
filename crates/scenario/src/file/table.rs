//! Tables and values that know where they stand, so that every mistake can be told with its line and its field.

use std::ops::RangeInclusive;

use toml::{
    Spanned,
    de::{DeArray, DeTable, DeValue},
};

use super::{
    error::{Mistake, ReadError},
    source::Source,
};

/// A table of the file.
pub(super) struct Table<'s> {
    source: Source<'s>,
    fields: &'s DeTable<'s>,
    /// Offset of its first byte; where it was begun with a header, of the header.
    at: usize,
    /// Its field; empty for the file itself.
    path: String,
}

/// A value of the file.
pub(super) struct Value<'s> {
    source: Source<'s>,
    value: &'s Spanned<DeValue<'s>>,
    path: String,
}

impl<'s> Table<'s> {
    /// The whole file as a table.
    pub(super) fn root(source: Source<'s>, fields: &'s DeTable<'s>) -> Self {
        Self {
            source,
            fields,
            at: 0,
            path: String::new(),
        }
    }

    fn path_of(&self, key: &str) -> String {
        if self.path.is_empty() {
            key.to_owned()
        } else {
            format!("{}.{key}", self.path)
        }
    }

    /// A mistake of this table's field `key` that has no value to point at.
    pub(super) fn error(&self, key: &str, mistake: Mistake) -> ReadError {
        self.source.error(self.at, self.path_of(key), mistake)
    }

    /// Refuses fields that are not among those allowed. The first in the file is told.
    pub(super) fn only(&self, allowed: &[&str]) -> Result<(), ReadError> {
        let unknown = self
            .fields
            .keys()
            .filter(|key| !allowed.contains(&&**key.get_ref()));
        match unknown.min_by_key(|key| key.span().start) {
            None => Ok(()),
            Some(key) => {
                let mistake = Mistake::Unknown {
                    what: "field",
                    got: key.get_ref().to_string(),
                    allowed: allowed.join(", "),
                };
                Err(self
                    .source
                    .error(key.span().start, self.path.clone(), mistake))
            }
        }
    }

    /// The value of a field, if it is there.
    pub(super) fn get(&self, key: &str) -> Option<Value<'s>> {
        self.fields.get(key).map(|value| Value {
            source: self.source,
            value,
            path: self.path_of(key),
        })
    }

    /// The value of a field that must be there.
    pub(super) fn need(&self, key: &str, allowed: &str) -> Result<Value<'s>, ReadError> {
        self.get(key).ok_or_else(|| {
            let allowed = allowed.to_owned();
            self.error(key, Mistake::Missing { allowed })
        })
    }

    /// The one field of a group of which exactly one must be there.
    pub(super) fn one_of(
        &self,
        group: &[&'static str],
    ) -> Result<(&'static str, Value<'s>), ReadError> {
        let mut given = group.iter().filter_map(|key| Some((*key, self.get(key)?)));
        let allowed = group.join(", ");
        let Some((key, value)) = given.next() else {
            let allowed = format!("one of {allowed}");
            return Err(self.source.error(
                self.at,
                self.path.clone(),
                Mistake::Missing { allowed },
            ));
        };
        let others: Vec<_> = given.map(|(other, _)| other).collect();
        if others.is_empty() {
            return Ok((key, value));
        }
        let given = [&[key], &others[..]].concat().join(" and ");
        Err(self.source.error(
            self.at,
            self.path.clone(),
            Mistake::Several { given, allowed },
        ))
    }

    /// Every field, in the order of the alphabet.
    pub(super) fn entries(&self) -> impl Iterator<Item = (&'s str, Value<'s>)> {
        let keys = self.fields.keys().map(|key| &**key.get_ref());
        keys.filter_map(|key| Some((key, self.get(key)?)))
    }
}

impl<'s> Value<'s> {
    /// A mistake at this value.
    pub(super) fn error(&self, mistake: Mistake) -> ReadError {
        self.source
            .error(self.value.span().start, self.path.clone(), mistake)
    }

    fn wrong_type(&self, allowed: &str) -> ReadError {
        let got = match self.value.get_ref() {
            DeValue::String(_) => "a string",
            DeValue::Integer(_) => "an integer",
            DeValue::Float(_) => "a float",
            DeValue::Boolean(_) => "a boolean",
            DeValue::Datetime(_) => "a date",
            DeValue::Array(_) => "an array",
            DeValue::Table(_) => "a table",
        };
        let (got, allowed) = (got.to_owned(), allowed.to_owned());
        self.error(Mistake::WrongType { got, allowed })
    }

    fn out_of_bounds(&self, allowed: &str) -> ReadError {
        let (got, allowed) = (self.raw(), allowed.to_owned());
        self.error(Mistake::OutOfBounds { got, allowed })
    }

    /// A value of the right type that does not follow its rules.
    pub(super) fn malformed(&self, why: impl Into<String>, allowed: &str) -> ReadError {
        let (got, why, allowed) = (self.raw(), why.into(), allowed.to_owned());
        self.error(Mistake::Malformed { got, why, allowed })
    }

    /// A word that is none of those allowed.
    pub(super) fn unknown(
        &self,
        what: &'static str,
        got: &str,
        allowed: impl Into<String>,
    ) -> ReadError {
        let (got, allowed) = (got.to_owned(), allowed.into());
        self.error(Mistake::Unknown { what, got, allowed })
    }

    /// The text of the value as it stands in the file, cut to what fits into an error.
    fn raw(&self) -> String {
        self.source.excerpt(self.value.span())
    }

    /// The whole text of the value as it stands in the file: for a string, with its quotes.
    pub(super) fn token(&self) -> &'s str {
        self.source.text.get(self.value.span()).unwrap_or_default()
    }

    pub(super) fn text(&self, allowed: &str) -> Result<&'s str, ReadError> {
        self.value
            .get_ref()
            .as_str()
            .ok_or_else(|| self.wrong_type(allowed))
    }

    pub(super) fn is_text(&self) -> bool {
        self.value.get_ref().is_str()
    }

    pub(super) fn truth(&self) -> Result<bool, ReadError> {
        let allowed = "true or false";
        self.value
            .get_ref()
            .as_bool()
            .ok_or_else(|| self.wrong_type(allowed))
    }

    /// A field that means something by being there.
    pub(super) fn only_true(&self) -> Result<(), ReadError> {
        match self.value.get_ref().as_bool() {
            Some(true) => Ok(()),
            Some(false) => Err(self.error(Mistake::WrongType {
                got: "false".to_owned(),
                allowed: "true".to_owned(),
            })),
            None => Err(self.wrong_type("true")),
        }
    }

    pub(super) fn integer(&self, range: RangeInclusive<u64>) -> Result<u64, ReadError> {
        self.integer_or(range, "")
    }

    /// An integer in this range, where something else would be allowed as well.
    pub(super) fn integer_or(
        &self,
        range: RangeInclusive<u64>,
        or: &str,
    ) -> Result<u64, ReadError> {
        let allowed = || match or {
            "" => format!("an integer from {} to {}", range.start(), range.end()),
            or => format!(
                "an integer from {} to {}, or {or}",
                range.start(),
                range.end()
            ),
        };
        let Some(integer) = self.value.get_ref().as_integer() else {
            return Err(self.wrong_type(&allowed()));
        };
        u64::from_str_radix(integer.as_str(), integer.radix())
            .ok()
            .filter(|integer| range.contains(integer))
            .ok_or_else(|| self.out_of_bounds(&allowed()))
    }

    pub(super) fn probability(&self) -> Result<f64, ReadError> {
        let allowed = "a number from 0.0 to 1.0";
        let text = match self.value.get_ref() {
            DeValue::Float(float) => float.as_str(),
            DeValue::Integer(integer) if integer.radix() == 10 => integer.as_str(),
            _ => return Err(self.wrong_type(allowed)),
        };
        text.parse()
            .ok()
            .filter(|probability| (0.0..=1.0).contains(probability))
            .ok_or_else(|| self.out_of_bounds(allowed))
    }

    /// The elements of an array, each with its index in its path.
    pub(super) fn elements(
        &self,
        allowed: &str,
    ) -> Result<impl ExactSizeIterator<Item = Value<'s>>, ReadError> {
        let array: &'s DeArray<'s> = self
            .value
            .get_ref()
            .as_array()
            .ok_or_else(|| self.wrong_type(allowed))?;
        let (source, path) = (self.source, self.path.clone());
        Ok(array.iter().enumerate().map(move |(index, value)| Value {
            source,
            value,
            path: format!("{path}[{index}]"),
        }))
    }

    pub(super) fn table(&self, allowed: &str) -> Result<Table<'s>, ReadError> {
        let fields = self
            .value
            .get_ref()
            .as_table()
            .ok_or_else(|| self.wrong_type(allowed))?;
        Ok(Table {
            source: self.source,
            fields,
            at: self.value.span().start,
            path: self.path.clone(),
        })
    }
}
