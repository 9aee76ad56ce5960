//! What the agent is told by the IT department (policy) and by its user (configuration), and where it keeps things.
//!
//! The policy is read first and wins: the configuration cannot widen what the policy narrows, and neither an argument nor the
//! environment moves the policy. An unknown key is an error, since a misspelt restriction must not be no restriction.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use crate::failure::Language;
use crate::fetch::Fetcher;
use crate::regions::Presets;
use file::{File, read, read_policy};

mod file;
mod machine;
mod places;
mod sections;
mod sys;

pub use places::Places;
pub use sections::{Audit, Driver, DriverKind, Fetch, Http, Limit, Pdf, PdfIdentifiers, Prompt, PromptKind, Timestamp};
#[cfg(windows)]
pub use sys::locale;
#[cfg(target_os = "linux")]
pub(crate) use sys::user_of_number;
pub use sys::{policy_path, user};

/// The first port that is tried; fixed because sites put it into their Content-Security-Policy.
pub const FIRST_PORT: u16 = 17329;
/// The last port that is tried, for the tenth user of one machine.
pub const LAST_PORT: u16 = 17338;
/// The first port of the TLS listener, where there is one.
pub const FIRST_TLS_PORT: u16 = 17339;
/// The last one.
pub const LAST_TLS_PORT: u16 = 17348;

/// Everything the agent was told, checked.
#[derive(Clone, Debug)]
pub struct Config {
    /// The listener and who may call it.
    pub http: Http,
    /// How the person is asked.
    pub prompt: Prompt,
    /// The ways to reach tokens.
    pub drivers: Vec<Driver>,
    /// Time stamp services by name.
    pub timestamps: Vec<Timestamp>,
    /// The record.
    pub audit: Audit,
    /// Narrower rules for single origins.
    pub limits: Vec<Limit>,
    /// Whether `sign --pin-fd` may be used.
    pub pin_fd: bool,
    /// How values stand in a PDF.
    pub pdf: Pdf,
    /// What is fetched, and how.
    pub fetch: Fetch,
    /// Regions that the policy accepts.
    pub presets: Presets,
    /// Whether every signature needs a licence statement of the signer's registry.
    pub licence_required: bool,
    /// Where newer versions are offered; `None` where the policy names nothing.
    pub update: Option<crate::update::Channel>,
    /// Where things are kept.
    pub places: Places,
}

/// Why the agent refuses to start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// The file cannot be read.
    #[error("{} cannot be read: {source}", .path.display())]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The file is not what it should be; the text names line and column.
    #[error("{}: {problem}", .path.display())]
    Malformed {
        /// Which file.
        path: PathBuf,
        /// What is wrong, with its line.
        problem: String,
    },
    /// Somebody else could have written the policy.
    #[error("{} must belong to root and be writable by nobody else", .path.display())]
    PolicyWritable {
        /// Which file.
        path: PathBuf,
    },
    /// A value is of the right type but cannot be.
    #[error("{}: {what}", .path.display())]
    Value {
        /// Which file.
        path: PathBuf,
        /// What is wrong with which key.
        what: String,
    },
    /// The system does not say where this user's files are.
    #[error("this user has no home directory")]
    NoHome,
}

impl ConfigError {
    /// What to do about it.
    pub fn hint(&self, language: Language) -> &'static str {
        match self {
            Self::Unreadable { .. } => {
                language.pick("check that the file exists and may be read", "请检查文件是否存在以及读取权限")
            }
            Self::Malformed { .. } | Self::Value { .. } => {
                language.pick("correct the file at the place named above", "请按上面指出的位置修改文件")
            }
            Self::PolicyWritable { .. } => language.pick(
                "run as root: chown root:root and chmod 644 on that file",
                "请以 root 身份将该文件所有者改为 root，权限改为 644",
            ),
            Self::NoHome => {
                language.pick("set HOME, or start the program as a normal user", "请设置 HOME，或以普通用户身份启动本程序")
            }
        }
    }
}

impl Config {
    /// Reads the policy of this machine, then `file` or the user's own configuration (which may be absent).
    pub fn load(file: Option<&Path>) -> Result<Self, ConfigError> {
        let policy = machine::with_registry(read_policy(&sys::policy_path())?)?;
        let (path, user) = match file {
            Some(path) => (path.to_owned(), read(path)?.ok_or_else(|| absent(path))?),
            None => {
                let dirs = directories::BaseDirs::new().ok_or(ConfigError::NoHome)?;
                let path = dirs.config_dir().join("sealagent").join("config.toml");
                let user = read(&path)?.unwrap_or_default();
                (path, user)
            }
        };
        Self::merge(policy, user, &path)
    }

    /// What texts of a policy and of a user's configuration come to.
    pub fn of_texts(policy: Option<&str>, user: &str) -> Result<Self, ConfigError> {
        let path = Path::new("config.toml");
        let read = |text: &str| {
            toml::from_str::<File>(text)
                .map_err(|e| ConfigError::Malformed { path: path.to_owned(), problem: e.to_string().trim().to_owned() })
        };
        Self::merge(policy.map(read).transpose()?, read(user)?, path)
    }

    /// A configuration that allows nobody and knows no token, with all files under the given places.
    pub fn empty(places: Places) -> Self {
        Self {
            http: Http {
                port: None,
                origins: BTreeSet::new(),
                digest_only: BTreeSet::new(),
                max_upload_bytes: 2048 << 20,
                silent: false,
                pairing: true,
                tls: true,
                tls_port: None,
            },
            prompt: Prompt {
                kind: PromptKind::default(),
                program: None,
                timeout: std::time::Duration::from_secs(300),
                delay: std::time::Duration::from_secs(1),
            },
            drivers: Vec::new(),
            timestamps: Vec::new(),
            audit: Audit { keep_days: 3650 },
            limits: Vec::new(),
            pin_fd: true,
            pdf: Pdf::default(),
            fetch: Fetch::default(),
            presets: Presets::none(),
            licence_required: false,
            update: None,
            places,
        }
    }

    fn merge(policy: Option<File>, user: File, path: &Path) -> Result<Self, ConfigError> {
        let value = |what: &str| ConfigError::Value { path: path.to_owned(), what: what.to_owned() };
        if user.policy.is_some() {
            return Err(value("[policy] belongs into the policy file alone"));
        }
        if user.update.is_some() {
            return Err(value("[update] belongs into the policy file alone"));
        }
        let places = match user.places {
            Some(places) if places.data.is_absolute() && places.state.is_absolute() => {
                Places { data: places.data, state: places.state }
            }
            Some(_) => return Err(value("places.data and places.state must be absolute paths")),
            None => Places::of_user()?,
        };
        let mut config = Self::empty(places);
        let managed = policy.is_some();
        let policy = policy.unwrap_or_default();
        let rules = policy.policy.unwrap_or_default();

        config.http.port = policy.http.port.or(user.http.port);
        config.http.origins = policy.http.origins;
        config.http.digest_only = policy.http.digest_only;
        if !managed || rules.user_origins {
            config.http.origins.extend(user.http.origins);
            config.http.digest_only.extend(user.http.digest_only);
        }
        let mib = match (policy.http.max_upload_mib, user.http.max_upload_mib) {
            (Some(most), Some(wished)) => Some(most.min(wished)),
            (most, wished) => most.or(wished),
        };
        if let Some(mib) = mib {
            config.http.max_upload_bytes = mib.saturating_mul(1 << 20);
        }
        // The policy can forbid fetching; a configuration can turn it on where the policy says nothing.
        config.fetch.forbidden = policy.fetch.enabled == Some(false);
        config.fetch.enabled = policy.fetch.enabled.or(user.fetch.enabled).unwrap_or(false);
        if user.fetch.for_pages.is_some() {
            return Err(value("fetch.for_pages belongs into the policy file alone"));
        }
        config.fetch.for_pages = policy.fetch.for_pages.unwrap_or(false);
        config.fetch.proxy = policy.fetch.proxy.or(user.fetch.proxy);
        if let Some(proxy) = &config.fetch.proxy {
            Fetcher::through(proxy).map_err(|_| value("fetch.proxy must be http://host:port"))?;
        }
        if !user.region.is_empty() {
            return Err(value("[[region]] belongs into the policy file alone"));
        }
        config.licence_required = rules.licence_required;
        config.presets.others = !managed || rules.user_regions;
        for region in policy.region {
            let signer = region.checked().ok_or_else(|| value("region.id or region.signer (64 hexadecimal digits)"))?;
            config.presets.regions.push((region.id, signer));
            config.presets.lists.extend(region.list);
        }
        config.http.silent = rules.silent;
        config.http.tls = !managed || rules.tls;
        config.http.tls_port = policy.http.tls_port.or(user.http.tls_port);
        config.http.pairing = !managed || rules.pairing.unwrap_or(rules.user_origins);
        config.prompt.kind = policy.prompt.kind.or(user.prompt.kind).unwrap_or_else(PromptKind::of_session);
        config.prompt.program =
            pinentry(config.prompt.kind, policy.prompt.kind, policy.prompt.program, user.prompt.program).map_err(&value)?;
        if let Some(seconds) = policy.prompt.timeout_seconds.or(user.prompt.timeout_seconds) {
            if !(10..=3600).contains(&seconds) {
                return Err(value("prompt.timeout_seconds must be between 10 and 3600"));
            }
            config.prompt.timeout = std::time::Duration::from_secs(seconds);
        }
        config.drivers = policy.driver;
        if !managed || rules.user_drivers {
            config.drivers.extend(user.driver.into_iter().filter(|d| !config.drivers.contains(d)).collect::<Vec<_>>());
        }
        for driver in &config.drivers {
            driver.check().map_err(&value)?;
        }
        // A name that the policy gives is the policy's service.
        config.timestamps = policy.timestamp;
        let own = user.timestamp.into_iter().filter(|own| !config.timestamps.iter().any(|ruled| ruled.name == own.name));
        let own: Vec<_> = own.collect();
        config.timestamps.extend(own);
        for service in &config.timestamps {
            service.check().map_err(&value)?;
        }
        if let Some(days) = policy.audit.keep_days.or(user.audit.keep_days) {
            config.audit.keep_days = days;
        }
        // Every limit binds: a user may narrow further, never widen.
        config.limits = policy.limit;
        config.limits.extend(user.limit);
        config.update = policy.update;
        config.pin_fd = !managed || rules.pin_fd;
        config.pdf.identifiers = policy.pdf.identifiers.or(user.pdf.identifiers).unwrap_or_default();
        let (ruled, wished) = (policy.pdf.filters().map_err(value)?, user.pdf.filters().map_err(value)?);
        config.pdf.seal_filters = ruled.or(wished);
        Ok(config)
    }
}

/// The program of a prompt of this `kind`. What a user names for a kind that the policy replaced by another is passed over.
fn pinentry(
    kind: PromptKind,
    ruled_kind: Option<PromptKind>,
    ruled: Option<PathBuf>,
    wished: Option<PathBuf>,
) -> Result<Option<PathBuf>, &'static str> {
    if kind != PromptKind::Pinentry {
        let is_stray = ruled.is_some() || (ruled_kind.is_none() && wished.is_some());
        return if is_stray { Err("prompt.program belongs to prompt.kind = \"pinentry\" alone") } else { Ok(None) };
    }
    if cfg!(windows) {
        return Err("prompt.kind = \"pinentry\" cannot be had on Windows; use \"window\" or \"terminal\"");
    }
    match ruled.or(wished) {
        Some(program) if program.is_absolute() => Ok(Some(program)),
        _ => Err("prompt.kind = \"pinentry\" needs program = \"/absolute/path\""),
    }
}

fn absent(path: &Path) -> ConfigError {
    ConfigError::Unreadable { path: path.to_owned(), source: io::ErrorKind::NotFound.into() }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::consent::Origin;

    fn parse(text: &str) -> File {
        toml::from_str(text).unwrap()
    }

    fn merged(policy: Option<&str>, user: &str) -> Result<Config, ConfigError> {
        Config::merge(policy.map(parse), parse(user), Path::new("config.toml"))
    }

    #[test]
    fn example_of_the_manual_is_read() {
        let config = merged(
            None,
            r#"
            [http]
            port = 17329
            origins = ["https://sign.example.gov.cn"]
            digest_only = []
            max_upload_mib = 2048
            [prompt]
            kind = "window"
            [[driver]]
            kind = "skf"
            library = "/opt/vendor/libskf.so"
            profile = "generic"
            [[timestamp]]
            name = "city-tsa"
            url = "http://tsa.example/ts"
            required = false
            [audit]
            keep_days = 3650
            "#,
        )
        .unwrap();
        assert_eq!(config.http.port, Some(17329));
        assert_eq!(config.prompt.kind, PromptKind::Window);
        assert_eq!(config.drivers[0].library.as_deref(), Some(Path::new("/opt/vendor/libskf.so")));
        assert_eq!(config.http.max_upload_bytes, 2048 << 20);
    }

    #[test]
    fn names_in_a_pdf_come_in_pairs_and_cannot_break_out_of_one() {
        let config = |filter: &str, sub: &str| merged(None, &format!("[pdf]\nseal_filter = {filter}\nseal_sub_filter = {sub}\n"));
        let names = config("'GM.PKILite'", "'GM.SM2'").unwrap().pdf.seal_filters;
        assert_eq!(names, Some(("GM.PKILite".to_owned(), "GM.SM2".to_owned())));
        assert!(config("'a/Contents'", "'b'").is_err());
        assert!(config("'a'", "''").is_err());
        assert!(merged(None, "[pdf]\nseal_filter = 'a'").is_err());
        assert_eq!(merged(None, "[pdf]\nidentifiers = 'pkcs7'").unwrap().pdf.identifiers, PdfIdentifiers::Pkcs7);
        let ruled = merged(Some("[pdf]\nidentifiers = 'pkcs7'"), "[pdf]\nidentifiers = 'gm'").unwrap();
        assert_eq!(ruled.pdf.identifiers, PdfIdentifiers::Pkcs7);
    }

    #[test]
    fn policy_wins_over_configuration() {
        let user = r#"
            [http]
            port = 1000
            origins = ["https://user.example"]
            max_upload_mib = 4000
            [[driver]]
            kind = "virtual"
            [prompt]
            kind = "terminal"
        "#;
        let policy = r#"
            [http]
            port = 2000
            origins = ["https://it.example"]
            max_upload_mib = 100
            [prompt]
            kind = "window"
        "#;
        let config = merged(Some(policy), user).unwrap();
        assert_eq!(config.http.port, Some(2000));
        assert_eq!(config.http.origins.iter().map(Origin::as_str).collect::<Vec<_>>(), ["https://it.example"]);
        assert_eq!(config.http.max_upload_bytes, 100 << 20);
        assert_eq!(config.prompt.kind, PromptKind::Window);
        assert!(config.drivers.is_empty());
        assert!(!config.pin_fd && !config.http.pairing);
        let open = format!("{policy}\n[policy]\nuser_origins = true\nuser_drivers = true\npin_fd = true\n");
        let config = merged(Some(&open), user).unwrap();
        assert_eq!((config.http.origins.len(), config.drivers.len(), config.pin_fd), (2, 1, true));
        assert!(config.http.pairing);
        assert!(!merged(Some(&format!("{open}pairing = false\n")), user).unwrap().http.pairing);
        assert!(merged(Some("[policy]\npairing = true\n"), user).unwrap().http.pairing);
    }

    #[cfg(unix)]
    #[test]
    fn a_pinentry_has_an_absolute_program_and_nothing_else_has_one() {
        let program = |policy: Option<&str>, user: &str| {
            merged(policy, user).map(|config| (config.prompt.kind, config.prompt.program)).map_err(|e| e.to_string())
        };
        let named = |path: &str| format!("[prompt]\nkind = 'pinentry'\nprogram = '{path}'\n");
        let of = |path: &str| Ok((PromptKind::Pinentry, Some(PathBuf::from(path))));
        assert_eq!(program(None, &named("/usr/bin/pinentry")), of("/usr/bin/pinentry"));
        assert_eq!(program(Some(&named("/usr/bin/a")), &named("/usr/bin/b")), of("/usr/bin/a"));
        assert_eq!(program(Some("[prompt]\nkind = 'pinentry'\n"), &named("/usr/bin/b")), of("/usr/bin/b"));
        let overruled = program(Some("[prompt]\nkind = 'window'\n"), &named("/usr/bin/b"));
        assert_eq!(overruled, Ok((PromptKind::Window, None)));
        for bad in [
            named("pinentry"),
            named(""),
            "[prompt]\nkind = 'pinentry'\n".to_owned(),
            "[prompt]\nkind = 'window'\nprogram = '/usr/bin/pinentry'\n".to_owned(),
            "[prompt]\nprogram = '/usr/bin/pinentry'\n".to_owned(),
        ] {
            assert!(program(None, &bad).is_err_and(|error| error.contains("pinentry")), "{bad}");
        }
    }

    #[test]
    fn policy_alone_lets_pages_have_regions_asked_and_can_forbid_fetching() {
        let fetch = |policy: Option<&str>, user: &str| merged(policy, user).map(|config| config.fetch);
        let off = fetch(None, "").unwrap();
        assert!(off.fetcher().is_none() && off.by_hand().is_some(), "a person can ask for it");
        assert!(fetch(None, "[fetch]\nenabled = false\n").unwrap().by_hand().is_some());
        let user = fetch(None, "[fetch]\nenabled = true\n").unwrap();
        assert!(user.fetcher().is_some() && !user.for_pages);
        assert!(fetch(None, "[fetch]\nfor_pages = true\n").is_err());
        assert!(fetch(Some("[fetch]\nenabled = true\nfor_pages = true\n"), "").unwrap().for_pages);
        let forbidden = fetch(Some("[fetch]\nenabled = false\n"), "[fetch]\nenabled = true\n").unwrap();
        assert!(forbidden.fetcher().is_none() && forbidden.by_hand().is_none());
    }

    #[test]
    fn misspelt_key_is_an_error_that_names_its_line() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("config.toml");
        fs::write(&path, "[http]\nport = 17329\noriginz = []\n").unwrap();
        let error = read(&path).unwrap_err().to_string();
        assert!(error.contains("line 3") && error.contains("originz"), "{error}");
    }

    #[test]
    fn values_that_cannot_be_are_refused() {
        for bad in [
            "[policy]\nuser_drivers = true",
            "[[driver]]\nkind = \"skf\"",
            "[[driver]]\nkind = \"skf\"\nlibrary = \"libskf.so\"",
            "[[driver]]\nkind = \"pcsc\"\nlibrary = \"/usr/lib/x.so\"",
            "[[driver]]\nkind = \"virtual\"\nsha256 = \"12\"",
            "[prompt]\ntimeout_seconds = 1",
            "[[timestamp]]\nname = \"a\"\nurl = \"https://tsa.example/ts\"",
            "[[timestamp]]\nname = \"\"\nurl = \"http://tsa.example/ts\"",
            "[[timestamp]]\nname = \"a\"\nurl = \"/ts\"",
            "[places]\ndata = \"here\"\nstate = \"/tmp\"",
        ] {
            assert!(merged(None, bad).is_err(), "{bad}");
        }
        for unreadable in ["[http]\norigins = [\"https://Upper.example\"]", "[[driver]]\nkind = \"usb\"", "[http]\nport = 70000"]
        {
            assert!(toml::from_str::<File>(unreadable).is_err(), "{unreadable}");
        }
    }

    #[cfg(unix)]
    #[test]
    fn policy_that_others_can_write_stops_the_start() {
        use std::os::unix::fs::PermissionsExt as _;
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("policy.toml");
        fs::write(&path, "").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        assert!(matches!(read_policy(&path), Err(ConfigError::PolicyWritable { .. })));
        fs::write(&path, "nonsense").unwrap();
        assert!(matches!(read_policy(&path), Err(ConfigError::Malformed { .. })));
    }
}
