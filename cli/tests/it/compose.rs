//! `docker-compose.yml`, the `Dockerfile` and Prometheus' configuration say nothing that the program does not know.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
};

use gristmill_platform::config;
use serde::Deserialize;

use super::gristmill;

#[derive(Deserialize)]
struct Compose {
    services: BTreeMap<String, Service>,
    volumes: BTreeMap<String, Option<BTreeMap<String, String>>>,
}

#[derive(Deserialize)]
struct Service {
    image: String,
    command: Option<Words>,
    #[serde(default)]
    environment: BTreeMap<String, String>,
    #[serde(default)]
    volumes: Vec<String>,
    healthcheck: Option<Health>,
    depends_on: Option<BTreeMap<String, Condition>>,
    container_name: Option<String>,
    #[serde(default)]
    ports: Vec<String>,
}

#[derive(Deserialize)]
struct Health {
    test: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Condition {
    condition: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Words {
    One(String),
    Many(Vec<String>),
}

fn read(name: &str) -> String {
    std::fs::read_to_string(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/..")).join(name)).unwrap()
}

fn compose() -> Compose {
    serde_saphyr::from_str(&read("docker-compose.yml")).unwrap()
}

/// Our own services.
fn roles(compose: &Compose) -> impl Iterator<Item = (&String, &Service)> {
    compose.services.iter().filter(|(_, service)| service.image == "gristmill")
}

#[test]
fn every_variable_is_a_setting() {
    let known: BTreeSet<String> = config::settings().into_iter().map(|setting| setting.env).collect();
    let compose = compose();
    for (name, service) in roles(&compose) {
        let used: Vec<&String> = service.environment.keys().collect();
        assert!(used.len() >= 5, "{name} has its environment by the anchor");
        for variable in used {
            assert!(known.contains(variable), "{name}: {variable} is no setting");
        }
    }
    for file in ["docker-compose.yml", "Dockerfile"] {
        let text = read(file);
        let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
        for word in words.filter(|word| word.starts_with("GRISTMILL_")) {
            assert!(known.contains(word), "{file}: {word} is no setting");
        }
    }
}

#[test]
fn every_command_is_one_of_ours() {
    let folder = tempfile::tempdir().unwrap();
    let compose = compose();
    let mut seen = Vec::new();
    for (name, service) in roles(&compose) {
        let Some(Words::Many(command)) = &service.command else { panic!("{name} has no command as a list") };
        // Clap checks what stands before `--help`.
        let output = gristmill(folder.path()).args(command).arg("--help").output().unwrap();
        assert!(output.status.success(), "{name}: gristmill {command:?}");
        if let Some(test) = service.healthcheck.as_ref().and_then(|health| health.test.as_ref()) {
            assert_eq!(test[..2], ["CMD", "gristmill"], "{name}: the image has no shell");
            let output = gristmill(folder.path()).args(&test[2..]).arg("--help").output().unwrap();
            assert!(output.status.success(), "{name}: {test:?}");
        }
        seen.push(command[0].as_str());
    }
    assert_eq!(seen, ["api", "migrate", "monitor", "scheduler", "worker"]);
    let dockerfile = read("Dockerfile");
    assert!(
        dockerfile.contains(r#"CMD ["gristmill", "health", "#) && dockerfile.contains(r#"ENTRYPOINT ["gristmill"]"#)
    );
}

#[test]
fn services_fit_together() {
    let compose = compose();
    for (name, service) in &compose.services {
        for volume in &service.volumes {
            let source = volume.split(':').next().unwrap();
            let there =
                if source.starts_with('.') { !read(source).is_empty() } else { compose.volumes.contains_key(source) };
            assert!(there, "{name}: there is no volume {source}");
        }
        for (needed, Condition { condition }) in service.depends_on.iter().flatten() {
            let other = compose.services.get(needed).unwrap_or_else(|| panic!("{name}: there is no {needed}"));
            let runs_once = condition == "service_completed_successfully";
            assert_eq!(runs_once, needed == "migrate", "{name}: {needed}");
            assert!(runs_once || other.healthcheck.is_some(), "{name}: {needed} has no health check");
        }
    }
    // `docker compose up --scale worker=4`
    let worker = &compose.services["worker"];
    assert!(worker.container_name.is_none() && worker.ports.is_empty());
    let Some(Words::One(redis)) = &compose.services["redis"].command else { panic!("redis has a command") };
    assert!(redis.contains("--appendonly yes") && redis.contains("--maxmemory-policy noeviction"), "{redis}");
}

#[test]
fn prometheus_finds_the_roles() {
    let compose = compose();
    let prometheus: serde_json::Value = serde_saphyr::from_str(&read("monitoring/prometheus/prometheus.yml")).unwrap();
    let found = &prometheus["scrape_configs"][0]["dns_sd_configs"][0];
    for name in found["names"].as_array().unwrap() {
        let role = &compose.services[name.as_str().unwrap()];
        let port = role.environment["GRISTMILL_MONITOR_ADDR"].rsplit(':').next().unwrap();
        assert_eq!(found["port"].to_string(), port);
    }
}
