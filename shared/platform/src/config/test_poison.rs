/// A text that kills each worker that reads a record with it. Only debug builds ask, for their tests.
#[expect(clippy::disallowed_methods, reason = "read here, at the edge, and no setting of anybody's")]
pub fn test_poison() -> Option<String> {
    std::env::var("GRISTMILL_TEST_POISON").ok().filter(|text| !text.is_empty())
}
