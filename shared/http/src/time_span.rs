//! Times as people write them.

use std::{fmt, time::Duration};

use jiff::{Span, SpanRelativeTo};
use serde::{Deserialize, Deserializer, de};
use utoipa::{
    PartialSchema, ToSchema,
    openapi::{OneOfBuilder, RefOr, Schema, schema::ObjectBuilder, schema::Type},
};

/// A number of seconds, or a text such as `5m`, `1h 30m` or `PT5M`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TimeSpan(pub Duration);

/// No wait, and no time to keep anything, is longer: ten years.
const LONGEST: Duration = Duration::from_secs(10 * 365 * 24 * 60 * 60);

impl<'de> Deserialize<'de> for TimeSpan {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(Visitor)
    }
}

struct Visitor;

impl de::Visitor<'_> for Visitor {
    type Value = TimeSpan;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a number of seconds, or a text such as \"5m\" or \"1h 30m\", from 0 to ten years")
    }

    fn visit_u64<E: de::Error>(self, seconds: u64) -> Result<TimeSpan, E> {
        bounded(Duration::from_secs(seconds)).ok_or_else(|| E::invalid_value(de::Unexpected::Unsigned(seconds), &self))
    }

    fn visit_i64<E: de::Error>(self, seconds: i64) -> Result<TimeSpan, E> {
        Err(E::invalid_value(de::Unexpected::Signed(seconds), &self))
    }

    fn visit_f64<E: de::Error>(self, seconds: f64) -> Result<TimeSpan, E> {
        let span = Duration::try_from_secs_f64(seconds).ok().and_then(bounded);
        span.ok_or_else(|| E::invalid_value(de::Unexpected::Float(seconds), &self))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<TimeSpan, E> {
        let span = text.parse::<Span>().ok().filter(|span| !span.is_negative());
        let duration = span.and_then(|span| span.to_duration(SpanRelativeTo::days_are_24_hours()).ok());
        let span = duration.and_then(|duration| Duration::try_from(duration).ok()).and_then(bounded);
        span.ok_or_else(|| E::invalid_value(de::Unexpected::Str(text), &self))
    }
}

fn bounded(span: Duration) -> Option<TimeSpan> {
    (span <= LONGEST).then_some(TimeSpan(span))
}

impl PartialSchema for TimeSpan {
    fn schema() -> RefOr<Schema> {
        let number = ObjectBuilder::new()
            .schema_type(Type::Number)
            .minimum(Some(0))
            .maximum(Some(LONGEST.as_secs()))
            .description(Some("Seconds"));
        let text = ObjectBuilder::new().schema_type(Type::String).pattern(Some("^[0-9]+ ?(ms|s|m|h|d|w)$"));
        let text = text.description(Some("As people write it: `5m`, `1h 30m`, `2d`"));
        OneOfBuilder::new().item(number).item(text).into()
    }
}

impl ToSchema for TimeSpan {
    fn name() -> std::borrow::Cow<'static, str> {
        "TimeSpan".into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_numbers_of_seconds_or_as_people_write_them() {
        let read = |json: &str| serde_json::from_str::<TimeSpan>(json).map(|span| span.0.as_millis());
        for (json, millis) in [
            ("0", 0),
            ("90", 90_000),
            ("0.25", 250),
            ("\"5m\"", 300_000),
            ("\"1h 30m\"", 5_400_000),
            ("\"250ms\"", 250),
            ("\"2d\"", 172_800_000),
            ("\"PT5M\"", 300_000),
        ] {
            assert_eq!(read(json).unwrap(), millis, "{json}");
        }
        for json in
            ["-1", "-0.5", "\"-5m\"", "\"5\"", "\"soon\"", "\"\"", "null", "true", "[1]", "1e300", "\"11y\"", "\"1mo\""]
        {
            let error = read(json).unwrap_err().to_string();
            assert!(error.contains("a number of seconds, or a text such as"), "{json}: {error}");
        }
    }
}
