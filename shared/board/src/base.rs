//! Where a board is mounted.

use crate::BoardError;

/// A base path as it stands before addresses: `/admin/jobs`, or nothing for the root.
///
/// # Errors
/// When it is no path that a route and a link can both have.
pub(crate) fn checked(path: &str) -> Result<String, BoardError> {
    let wrong = |why| Err(BoardError::Base { path: path.to_owned(), why });
    if path.is_empty() || path == "/" {
        return Ok(String::new());
    }
    let Some(segments) = path.strip_prefix('/') else { return wrong("must begin with `/`") };
    if segments.ends_with('/') {
        return wrong("must not end with `/`");
    }
    for segment in segments.split('/') {
        if segment.is_empty() {
            return wrong("must not have two `/` side by side");
        }
        if segment == "." || segment == ".." {
            return wrong("must not have `.` or `..` as a part");
        }
        if !segment.chars().all(|c| c.is_ascii_alphanumeric() || "-_.~".contains(c)) {
            return wrong("may have letters, digits, `-`, `_`, `.` and `~` between its `/`");
        }
    }
    Ok(path.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_is_a_path_that_links_can_begin_with() {
        for (given, base) in [("", ""), ("/", ""), ("/jobs", "/jobs"), ("/admin/jobs-2", "/admin/jobs-2")] {
            assert_eq!(checked(given).unwrap(), base);
        }
        for wrong in
            ["jobs", "/jobs/", "//jobs", "/a//b", "/a/../b", "/{id}", "/a b", "/a?b", "/a%20b", "https://x/jobs"]
        {
            let error = checked(wrong).unwrap_err().to_string();
            assert!(
                error.contains(&format!("`{wrong}`")) && error.contains("must") | error.contains("may have"),
                "{error}"
            );
        }
    }
}
