//! Tests of configurations from setters, environment variables and files.

use super::*;

fn from_pairs(pairs: &[(&str, &str)]) -> Result<Config> {
    Config::from_variables(|name| {
        pairs.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).into())
    })
}

#[test]
fn the_environment_overrides_the_defaults() {
    let config = from_pairs(&[
        ("AUDITX_LOG_DIR", "/var/log/erp"),
        ("AUDITX_INSTANCE", "worker-2"),
        ("AUDITX_CONSOLE", "stderr"),
        ("AUDITX_MAX_FILE_BYTES", "1000000"),
        ("AUDITX_MAX_AGE", "1d"),
        ("AUDITX_RETENTION", "backup-count=7"),
        ("AUDITX_COMPRESSION", "none"),
        ("AUDITX_DURABILITY", "20ms"),
        ("AUDITX_DEFAULT_CURRENCY", "MMK"),
        ("AUDITX_SIGNING_KEY", "credential:auditx"),
        ("AUDITX_FILE_MODE", "0644"),
        ("AUDITX_GROUP", "adm"),
    ])
    .unwrap();
    assert_eq!(config.trail_dir(), PathBuf::from("/var/log/erp/worker-2"));
    assert_eq!(config.console, Console::Stderr);
    assert_eq!("stdout-json".parse::<Console>().unwrap(), Console::StdoutJson);
    assert_eq!("stderr-json".parse::<Console>().unwrap(), Console::StderrJson);
    assert_eq!(config.max_file_bytes, 1_000_000);
    assert_eq!(config.max_age, Some(Duration::from_secs(86_400)));
    assert_eq!(config.retention, Retention::BackupCount(7));
    assert_eq!(config.compression, Compression::None);
    assert_eq!(config.durability, Durability::Interval(Duration::from_millis(20)));
    assert_eq!(config.default_currency, "MMK");
    assert!(matches!(config.signing_key, KeySource::Credential(name) if name == "auditx"));
    assert_eq!((config.file_mode, config.dir_mode, &*config.group), (Some(modes::Octal(0o644)), None, "adm"));
}

#[test]
fn an_error_names_the_invalid_variable() {
    for (name, value) in [
        ("AUDITX_DURABILITY", "sometimes"),
        ("AUDITX_MAX_FILE_BYTES", "10MB"),
        ("AUDITX_RETENTION", "backup-count=-1"),
        ("AUDITX_MAX_AGE", "long"),
        ("AUDITX_CONSOLE", "yes"),
        ("AUDITX_SIGNING_KEY", "/etc/key.pem"),
        ("AUDITX_FILE_MODE", "rw-r-----"),
        ("AUDITX_DIR_MODE", "0888"),
    ] {
        let error = from_pairs(&[(name, value)]).unwrap_err();
        assert!(error.is_invalid() && error.to_string().contains(name), "{error}");
    }
}

#[test]
fn a_configuration_file_has_all_settings() {
    let config: Config = serde_json::from_str(
        r#"{"log_dir": "x", "durability": "os", "retention": "retain-for=30d", "max_age": "6h",
            "rate_limit": {"limit": 3, "window": "10s"}, "redaction": {"deny": ["iban"]},
            "checkpoints": {"interval": "5s", "heartbeat": "10m"}, "signing_key": "file:/etc/auditx.pem",
            "dir_mode": "2750", "group": "0"}"#,
    )
    .unwrap();
    assert_eq!(config.durability, Durability::Os);
    assert_eq!(config.retention, Retention::RetainFor(Duration::from_secs(30 * 86_400)));
    assert_eq!(config.rate_limit, RateLimit::new(3, Duration::from_secs(10)));
    assert_eq!(
        config.checkpoints,
        Cadence::new(Duration::from_secs(5), 1_024).heartbeat(Duration::from_secs(600))
    );
    assert!(matches!(config.signing_key, KeySource::File(path) if path.as_os_str() == "/etc/auditx.pem"));
    assert_eq!((config.dir_mode, &*config.group), (Some(modes::Octal(0o2750)), "0"));
    assert!(serde_json::from_str::<Config>(r#"{"log_dri": "x"}"#).is_err());
}

#[test]
fn invalid_settings_are_rejected() {
    for config in [
        Config::new("x").instance("../other"),
        Config::new("x").instance(".auditx"),
        Config::new("x").max_file_bytes(100),
        Config::new("x").origin("our erp"),
        Config::new("x").origin("a+b"),
        Config::new("x").checkpoints(Cadence::new(Duration::ZERO, 1)),
        Config::new("x").checkpoints(Cadence::new(Duration::from_secs(1), 0)),
        Config::new("x").checkpoints(Cadence::default().heartbeat(Duration::from_millis(1))),
        Config::new("x").file_mode(0o440),
        Config::new("x").dir_mode(0o600),
        Config::new("x").group("no-such-group"),
        Config::new("x").on_audit("a/b", |_| Ok(())),
        Config::new("x").on_audit("security.jsonl", |_| Ok(())),
        Config::new("x").on_audit("ship-x", |_| Ok(())),
        Config::new("x").on_audit("a", |_| Ok(())).on_audit("a", |_| Ok(())),
    ] {
        assert!(config.check().unwrap_err().is_invalid(), "{config:?}");
    }
}
