//! Each example runs to its end, on the engines that all tests share.

#[path = "../../examples/apalis_backend_alone.rs"]
mod apalis_backend_alone;
#[path = "../../examples/cancel.rs"]
mod cancel;
#[path = "../../examples/cron.rs"]
mod cron;
#[path = "../../examples/groups.rs"]
mod groups;
#[path = "../../examples/hello.rs"]
mod hello;
#[path = "../../examples/limits.rs"]
mod limits;
#[path = "../../examples/retries_and_dead_letters.rs"]
mod retries_and_dead_letters;
#[path = "../../examples/transactional_effect.rs"]
mod transactional_effect;
#[path = "../../examples/unique_jobs.rs"]
mod unique_jobs;

macro_rules! runs {
    ($($example:ident)*) => {$(
        #[test]
        fn $example() {
            $example::main().unwrap();
        }
    )*};
}

runs! { apalis_backend_alone cancel cron groups hello limits retries_and_dead_letters transactional_effect unique_jobs }

#[test]
fn the_readme_names_them_all() {
    let readme = include_str!("../../README.md");
    for entry in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap() {
        let path = entry.unwrap().path();
        if path.is_file() {
            let name = path.file_stem().unwrap().to_str().unwrap();
            assert!(readme.contains(name), "{name}");
        }
    }
}
