//! Where a PostgreSQL database is, and how it is reached: the connection string of `init --database`, kept in the authority's folder.
//!
//! No password stands in it: an argument is seen by everybody on the machine, and the folder is copied and backed up. It
//! comes from where PostgreSQL's own programs take it (PGPASSFILE, `~/.pgpass`), from the terminal, or is not needed (peer authentication
//! over the unix socket, a client certificate). PGPASSWORD is not read, since other programs of the user can.
//!
//! Beyond this machine there is TLS, and the server proves its name by a certificate below `sslrootcert`; what the server is
//! told becomes seals. Half measures of PostgreSQL's own programs, which take any certificate or fall back to plain text in silence, are
//! refused.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use postgres::config::{Host, SslMode};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, RootCertStore};
use sealagent::server::decoded;
use zeroize::Zeroizing;

/// Longest connection string, in bytes.
const MAX_ADDRESS: usize = 2048;
/// Largest file with passwords, certificates or a key that is read, in bytes.
const MAX_FILE: u64 = 1 << 20;
/// Where Debian's server has its socket.
#[cfg(unix)]
const SOCKETS: &str = "/var/run/postgresql";

/// Why a database is not asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AddressError {
    /// A file that the address names cannot be used.
    #[error("{}: {reason}", .path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// It is no connection string.
    #[error("{0}")]
    Form(String),
    /// A password stands in it.
    #[error("a password stands in the connection string")]
    Password,
    /// Others may read the file with passwords.
    #[error("{}: others may read it", .0.display())]
    PasswordFileOpen(PathBuf),
    /// Everybody on the way could read and change what is recorded.
    #[error("{0} is another machine, and the connection would not be encrypted")]
    Plaintext(String),
    /// Nothing to check the server's certificate with.
    #[error("no file of root certificates for the server {0}")]
    Roots(String),
    /// An `sslmode` that is none, or not safe.
    #[error("sslmode={0}")]
    SslMode(String),
}

/// A connection string that was read.
#[derive(Clone)]
pub struct Address {
    text: String,
    plaintext: bool,
    config: postgres::Config,
    /// `None` for a connection in plain text.
    tls: Option<Arc<ClientConfig>>,
    password_file: Option<PathBuf>,
}

impl std::fmt::Debug for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Address({})", self.text)
    }
}

/// Options of the connection string that are ours to carry out; all others are the library's.
#[derive(Default)]
struct Options {
    ssl_mode: Option<String>,
    roots: Option<PathBuf>,
    certificate: Option<PathBuf>,
    key: Option<PathBuf>,
    password_file: Option<PathBuf>,
}

impl Address {
    /// Reads `postgres://[USER@][HOST[:PORT]][/DATABASE][?OPTION=VALUE&…]`. Options are libpq's: `host` (a folder for the unix socket), `sslmode`
    /// (`verify-full`, or `disable`), `sslrootcert`, `sslcert`, `sslkey`, `passfile`, `connect_timeout` and others. `plaintext` lets
    /// `sslmode=disable` pass for another machine, such as one behind a tunnel.
    pub fn parse(text: &str, plaintext: bool) -> Result<Self, AddressError> {
        let form = |reason: &str| AddressError::Form(reason.to_owned());
        if !(text.starts_with("postgres://") || text.starts_with("postgresql://")) || text.len() > MAX_ADDRESS {
            return Err(form("it does not begin with postgres://"));
        }
        let (options, plain) = Options::take_from(text)?;
        let mut config: postgres::Config = plain.parse().map_err(|error| AddressError::Form(said(&error)))?;
        if config.get_password().is_some() {
            return Err(AddressError::Password);
        }
        if config.get_hosts().is_empty() && config.get_hostaddrs().is_empty() {
            #[cfg(unix)]
            config.host_path(SOCKETS);
            #[cfg(not(unix))]
            config.host("localhost");
        }
        let remote = remote(&config);
        let encrypted = match (options.ssl_mode.as_deref(), &remote) {
            // Stronger than asked is no harm: a server that does not prove its name could be anybody.
            (Some("verify-full" | "verify-ca" | "require"), _) | (None, Some(_)) => true,
            (None, None) => false,
            (Some("disable"), Some(host)) if !plaintext => return Err(AddressError::Plaintext(host.clone())),
            (Some("disable"), _) => false,
            (Some(other), _) => return Err(AddressError::SslMode(other.to_owned())),
        };
        config.ssl_mode(if encrypted { SslMode::Require } else { SslMode::Disable });
        let tls = match encrypted {
            true => Some(Arc::new(options.client(remote.as_deref().unwrap_or("localhost"))?)),
            false => None,
        };
        Ok(Self { text: text.to_owned(), plaintext, config, tls, password_file: options.password_file })
    }

    /// As it was given.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Whether plain text was allowed for another machine.
    pub fn plaintext(&self) -> bool {
        self.plaintext
    }

    pub(super) fn config(&self) -> &postgres::Config {
        &self.config
    }

    pub(super) fn tls(&self) -> Option<&Arc<ClientConfig>> {
        self.tls.as_ref()
    }

    /// Who is asked for a password, and where.
    pub(super) fn user_and_host(&self) -> (String, String) {
        let host = self.config.get_hosts().first().map(name_of).unwrap_or_else(|| "localhost".to_owned());
        let of_system = || ["USER", "LOGNAME", "USERNAME"].iter().find_map(|name| std::env::var(name).ok());
        (self.config.get_user().map(str::to_owned).or_else(of_system).unwrap_or_default(), host)
    }

    /// The password that the user's file has for this database, if there is one.
    pub(super) fn stored_password(&self) -> Result<Option<Zeroizing<String>>, AddressError> {
        let given = self.password_file.clone().or_else(|| std::env::var_os("PGPASSFILE").map(PathBuf::from));
        let Some(path) = given.or_else(|| Some(home()?.join(if cfg!(windows) { "pgpass.conf" } else { ".pgpass" }))) else {
            return Ok(None);
        };
        let bytes = match fs::metadata(&path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(AddressError::File { path, reason: error.to_string() }),
            Ok(found) if others_may_read(&found) => return Err(AddressError::PasswordFileOpen(path)),
            Ok(_) => read(&path)?,
        };
        let (user, host) = self.user_and_host();
        // A socket in a folder is called so by its folder; the usual folder is called localhost (libpq, "The Password File").
        #[cfg(unix)]
        let host = if host == SOCKETS { "localhost".to_owned() } else { host };
        let port = self.config.get_ports().first().copied().unwrap_or(5432).to_string();
        let database = self.config.get_dbname().unwrap_or(&user);
        Ok(password_for([&host, &port, database, &user], &String::from_utf8_lossy(&bytes)))
    }
}

impl Options {
    /// Splits them off; what is left goes to the library.
    fn take_from(text: &str) -> Result<(Self, String), AddressError> {
        let mut options = Self::default();
        let Some((place, query)) = text.split_once('?') else { return Ok((options, text.to_owned())) };
        let mut others = Vec::new();
        for option in query.split('&').filter(|option| !option.is_empty()) {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            let value = decoded(value).ok_or_else(|| AddressError::Form(format!("the value of {name}")))?;
            let path = || {
                let path = PathBuf::from(&value);
                // The folder that a command is given in differs from day to day.
                path.is_absolute()
                    .then_some(Some(path))
                    .ok_or_else(|| AddressError::Form(format!("{name} is not an absolute path")))
            };
            match name {
                "sslmode" => options.ssl_mode = Some(value),
                "sslrootcert" => options.roots = path()?,
                "sslcert" => options.certificate = path()?,
                "sslkey" => options.key = path()?,
                "passfile" => options.password_file = path()?,
                _ => others.push(option),
            }
        }
        Ok((options, format!("{place}?{}", others.join("&"))))
    }

    /// TLS 1.2 or 1.3 to a server whose certificate bears its name, below the roots in the file.
    fn client(&self, host: &str) -> Result<ClientConfig, AddressError> {
        let usual = || home().map(|home| home.join(if cfg!(windows) { "root.crt" } else { ".postgresql/root.crt" }));
        let path = self.roots.clone().or_else(|| usual().filter(|path| path.is_file()));
        let path = path.ok_or_else(|| AddressError::Roots(host.to_owned()))?;
        let mut roots = RootCertStore::empty();
        for certificate in certificates(&path)? {
            roots.add(certificate).map_err(|error| AddressError::File { path: path.clone(), reason: error.to_string() })?;
        }
        let unusable =
            |path: &Path, error: rustls::Error| AddressError::File { path: path.to_owned(), reason: error.to_string() };
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&path, error))?
            .with_root_certificates(roots);
        match (&self.certificate, &self.key) {
            (None, None) => Ok(builder.with_no_client_auth()),
            (Some(certificate), Some(key)) => {
                let is_open = fs::metadata(key).is_ok_and(|found| others_may_read(&found));
                if is_open {
                    return Err(AddressError::PasswordFileOpen(key.clone()));
                }
                let bytes = read(key)?;
                let private = PrivateKeyDer::from_pem_slice(&bytes)
                    .map_err(|error| AddressError::File { path: key.clone(), reason: error.to_string() })?;
                builder.with_client_auth_cert(certificates(certificate)?, private).map_err(|error| unusable(key, error))
            }
            _ => Err(AddressError::Form("sslcert and sslkey belong together".to_owned())),
        }
    }
}

/// The first host that is not this machine.
fn remote(config: &postgres::Config) -> Option<String> {
    let address = config.get_hostaddrs().iter().find(|address| !address.is_loopback()).map(ToString::to_string);
    let is_here = |host: &&Host| match host {
        Host::Tcp(name) => name == "localhost" || name.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()),
        #[cfg(unix)]
        Host::Unix(_) => true,
    };
    address.or_else(|| config.get_hosts().iter().find(|host| !is_here(host)).map(name_of))
}

fn name_of(host: &Host) -> String {
    match host {
        Host::Tcp(name) => name.clone(),
        #[cfg(unix)]
        Host::Unix(folder) => folder.display().to_string(),
    }
}

/// The password of the first line whose four fields fit: `host:port:database:user:password`, `*` for any, `\` before `:` and `\`.
fn password_for(wanted: [&str; 4], file: &str) -> Option<Zeroizing<String>> {
    let line = |line: &str| {
        let mut fields = vec![Zeroizing::new(String::new())];
        let mut characters = line.chars();
        while let Some(c) = characters.next() {
            // The fifth field goes on to the end of the line.
            match c {
                ':' if fields.len() < 5 => fields.push(Zeroizing::new(String::with_capacity(line.len()))),
                '\\' => fields.last_mut()?.extend(characters.next()),
                _ => fields.last_mut()?.push(c),
            }
        }
        let fits =
            fields.len() == 5 && wanted.iter().zip(&fields).all(|(wanted, field)| **field == "*" || field.as_str() == *wanted);
        fits.then(|| fields.pop()).flatten()
    };
    file.lines().filter(|text| !text.starts_with('#')).find_map(line)
}

fn home() -> Option<PathBuf> {
    match cfg!(windows) {
        true => std::env::var_os("APPDATA").map(|folder| PathBuf::from(folder).join("postgresql")),
        false => std::env::home_dir(),
    }
}

#[cfg(unix)]
fn others_may_read(found: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    found.permissions().mode() & 0o077 != 0
}

/// Under Windows the folder of the user's settings is the user's alone, as PostgreSQL's own programs take it.
#[cfg(not(unix))]
fn others_may_read(_: &fs::Metadata) -> bool {
    false
}

fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, AddressError> {
    use io::Read as _;
    let failed = |reason: String| AddressError::File { path: path.to_owned(), reason };
    let file = fs::File::open(path).map_err(|error| failed(error.to_string()))?;
    let length = file.metadata().map_err(|error| failed(error.to_string()))?.len();
    if length > MAX_FILE {
        return Err(failed(format!("larger than {MAX_FILE} bytes")));
    }
    let mut bytes = Zeroizing::new(Vec::with_capacity(length as usize + 1)); // does not grow: no copy is left behind
    file.take(length).read_to_end(&mut bytes).map_err(|error| failed(error.to_string()))?;
    Ok(bytes)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, AddressError> {
    let failed = |reason: String| AddressError::File { path: path.to_owned(), reason };
    let bytes = read(path)?;
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&bytes).collect();
    let found = found.map_err(|error| failed(error.to_string()))?;
    if found.is_empty() { Err(failed("no certificate in it".to_owned())) } else { Ok(found) }
}

/// What an error says, with the causes that it keeps to itself.
pub(super) fn said(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(inner) = cause {
        text = format!("{text}: {inner}");
        cause = inner.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Address, AddressError> {
        Address::parse(text, false)
    }

    #[test]
    fn other_machine_is_reached_by_tls_with_known_roots_or_not_at_all() {
        let temp = tempfile::tempdir().unwrap();
        let empty = temp.path().join("root.crt");
        fs::write(&empty, "nothing").unwrap();
        let roots = format!("sslrootcert={}", empty.display());
        for place in [
            "postgres://db.example/sz",
            "postgres://10.0.0.7/sz",
            "postgres://localhost,db.example/sz",
            "postgres://localhost/sz?hostaddr=10.0.0.7",
        ] {
            let join = if place.contains('?') { '&' } else { '?' };
            assert!(matches!(parse(&format!("{place}{join}sslmode=disable")), Err(AddressError::Plaintext(_))), "{place}");
            for weak in ["prefer", "allow", "never"] {
                assert!(
                    matches!(parse(&format!("{place}{join}sslmode={weak}")), Err(AddressError::SslMode(_))),
                    "{place} {weak}"
                );
            }
            for strong in ["sslmode=verify-full&", "sslmode=require&", ""] {
                let error = parse(&format!("{place}{join}{strong}{roots}")).unwrap_err();
                assert!(matches!(&error, AddressError::File { path, .. } if *path == empty), "{place} {strong} {error}");
            }
            assert!(Address::parse(&format!("{place}{join}sslmode=disable"), true).unwrap().tls().is_none());
        }
    }

    #[test]
    fn this_machine_needs_no_tls_unless_asked_for() {
        for place in [
            "postgres:///sz",
            "postgres://localhost/sz",
            "postgres://127.0.0.1:5433/sz",
            "postgres:///sz?host=/run/x",
            "postgres://[::1]/sz",
        ] {
            assert!(parse(place).unwrap().tls().is_none(), "{place}");
        }
        assert!(matches!(
            parse("postgres://localhost/sz?sslmode=verify-full&sslrootcert=/nowhere/r"),
            Err(AddressError::File { .. })
        ));
    }

    #[test]
    fn password_in_the_connection_string_is_refused() {
        for text in ["postgres://a:secret@localhost/sz", "postgres://a@localhost/sz?password=secret"] {
            let error = parse(text).unwrap_err();
            assert!(matches!(error, AddressError::Password) && !error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn what_is_no_connection_string_is_refused() {
        for text in [
            "",
            "mysql://a/b",
            "host=a",
            "postgres://a/b?nonsense=1",
            "postgres:///b?sslrootcert=root.crt",
            "postgres:///b?passfile=%zz",
        ] {
            assert!(matches!(parse(text), Err(AddressError::Form(_))), "{text}");
        }
    }

    #[test]
    fn password_is_found_as_postgresql_finds_it() {
        let file = "# comment\nother:5432:sz:a:no\nlocalhost:5433:*:a:wrong port\n*:*:sz:a\\:b:with \\: and \\\\ in\nlocalhost:*:*:a:right:colon\n*:*:*:*:last\nshort:line\n";
        let found = |wanted| password_for(wanted, file).map(|password| password.to_string());
        assert_eq!(found(["localhost", "5432", "sz", "a"]).as_deref(), Some("right:colon"));
        assert_eq!(found(["db", "5432", "sz", "a:b"]).as_deref(), Some("with : and \\ in"));
        assert_eq!(found(["db", "5432", "x", "y"]).as_deref(), Some("last"));
        assert_eq!(password_for(["h", "1", "d", "u"], "h:1:d:v:x\n"), None);
    }

    #[cfg(unix)]
    #[test]
    fn password_file_that_others_may_read_is_refused() {
        use std::os::unix::fs::PermissionsExt as _;
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("pgpass");
        fs::write(&path, "*:*:*:*:word\n").unwrap();
        let address = parse(&format!("postgres://a@localhost/sz?passfile={}", path.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        assert!(matches!(address.stored_password(), Err(AddressError::PasswordFileOpen(found)) if found == path));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(address.stored_password().unwrap().as_deref().map(String::as_str), Some("word"));
    }
}
