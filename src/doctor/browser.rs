//! What browsers are told by an administrator, so that nobody is asked whether a site may reach this computer (browser.md §3e): whether
//! it is there, and how it reads. The snippets are files of the packages.

use std::path::Path;

use serde::Deserialize;
use serde_json::Value;

use super::check::{Check, Finding};
use crate::config::{Config, FIRST_PORT, LAST_PORT};
use crate::consent::Origin;
use crate::failure::Language;

/// Largest policy file that is looked at, in bytes.
#[cfg(not(windows))]
const MAX_POLICY: u64 = 1 << 20;
/// The site that stands in the snippets for one's own.
const SAMPLE: &str = "sign.example";

const CHROMIUM: &str = include_str!("../../packaging/browser-policy/chromium.json");
const FIREFOX: &str = include_str!("../../packaging/browser-policy/firefox.json");
const WINDOWS: &str = include_str!("../../packaging/browser-policy/windows.reg");
const BROWSERS: &str = include_str!("../../packaging/browser-policy/browsers.json");

/// A browser and where its policy is.
#[derive(Deserialize)]
struct Browser {
    browser: String,
    /// Which of the snippets it reads.
    snippet: String,
    /// The file to put it in; Chromium's kind reads every file of that folder.
    linux: String,
    /// The key whose values are the sites.
    #[cfg_attr(not(windows), allow(dead_code))]
    windows: String,
}

fn browsers() -> Vec<Browser> {
    serde_json::from_str(BROWSERS).unwrap_or_default() // compiled in, and a test reads it
}

/// The browsers that know all sites of the configuration; one line if none does.
pub fn checks(config: &Config, language: Language) -> Vec<Check> {
    if config.http.origins.is_empty() {
        return Vec::new();
    }
    let allows = |browser: &Browser| {
        let sites = sites(browser);
        config.http.origins.iter().all(|origin| sites.iter().any(|site| covers(site, origin)))
    };
    let found: Vec<_> = browsers()
        .iter()
        .filter(|browser| allows(browser))
        .map(|browser| Check::new(Finding::BrowserAllows, language, &[("browser", &browser.browser)]))
        .collect();
    if found.is_empty() { vec![Check::new(Finding::BrowserAsks, language, &[])] } else { found }
}

/// What `doctor --policy` prints: the snippets of this system with the configuration's sites, where they belong, and the ports that a
/// site names in its own Content-Security-Policy.
pub fn snippets(config: Option<&Config>, language: Language) -> String {
    let origins: Vec<&Origin> = config.iter().flat_map(|config| &config.http.origins).collect();
    let mut out = String::new();
    if cfg!(windows) {
        out += &filled(WINDOWS, &origins);
    } else {
        for browser in browsers() {
            let template = if browser.snippet == "firefox.json" { FIREFOX } else { CHROMIUM };
            out += &format!("# {}: {}\n{}\n", browser.browser, browser.linux, filled(template, &origins));
        }
    }
    let ports = match config.and_then(|config| config.http.port) {
        Some(port) => vec![port],
        None => (FIRST_PORT..=LAST_PORT).collect(),
    };
    let sources: Vec<_> =
        ports.iter().flat_map(|port| ["http", "ws"].map(|scheme| format!("{scheme}://127.0.0.1:{port}"))).collect();
    out += language.pick("# The site's own header, where it has one:", "# 网站自身的响应头（如有）：");
    out + &format!("\n# Content-Security-Policy: connect-src 'self' {}\n", sources.join(" "))
}

/// A snippet in which the line with the sample stands once for each origin. Without origins it stays as it is.
fn filled(template: &str, origins: &[&Origin]) -> String {
    let mut out = String::new();
    for line in template.lines() {
        if !line.contains(SAMPLE) || origins.is_empty() {
            out += &format!("{line}\n");
            continue;
        }
        let is_json = !line.contains('=');
        for (n, origin) in origins.iter().enumerate() {
            let line = line.replace(&format!("https://{SAMPLE}"), origin.as_str()).replace(SAMPLE, host(origin));
            let line = line.replacen("\"1\"=", &format!("\"{}\"=", n + 1), 1);
            out += &format!("{line}{}\n", if is_json && n + 1 < origins.len() { "," } else { "" });
        }
    }
    out
}

fn host(origin: &Origin) -> &str {
    let text = origin.as_str();
    let authority = text.split_once("://").map_or(text, |(_, authority)| authority);
    match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|b| b.is_ascii_digit()) => host,
        _ => authority,
    }
}

/// Whether an entry of a policy names the origin: as it is, as its host, or as a pattern (`[*.]example`, `*.example`) above the host.
fn covers(site: &str, origin: &Origin) -> bool {
    let (scheme, rest) = site.split_once("://").map_or((None, site), |(scheme, rest)| (Some(scheme), rest));
    if scheme.is_some_and(|scheme| !origin.as_str().starts_with(&format!("{scheme}://"))) {
        return false;
    }
    let name = host(origin);
    let authority = &origin.as_str()[origin.as_str().len() - origin.as_str().split_once("://").map_or(0, |(_, a)| a.len())..];
    let under = |domain: &str| name == domain || name.strip_suffix(domain).is_some_and(|front| front.ends_with('.'));
    match rest.strip_prefix("[*.]").or_else(|| rest.strip_prefix("*.")) {
        Some(domain) => under(domain.split(':').next().unwrap_or(domain)),
        None => rest == name || rest == authority,
    }
}

/// The sites that a browser's policy names on this machine.
#[cfg(not(windows))]
fn sites(browser: &Browser) -> Vec<String> {
    let path = Path::new(&browser.linux);
    if browser.snippet == "firefox.json" {
        return read(path).map(|policy| named(&policy)).unwrap_or_default();
    }
    let folder = path.parent().and_then(|folder| std::fs::read_dir(folder).ok());
    let files = folder.into_iter().flatten().flatten().map(|entry| entry.path());
    files
        .filter(|file| file.extension().is_some_and(|x| x == "json"))
        .filter_map(|file| read(&file))
        .flat_map(|p| named(&p))
        .collect()
}

#[cfg(not(windows))]
fn read(path: &Path) -> Option<Value> {
    use std::io::Read as _;
    let mut text = String::new();
    std::fs::File::open(path).ok()?.take(MAX_POLICY).read_to_string(&mut text).ok()?;
    serde_json::from_str(&text).ok()
}

/// The entries under the names that the snippets use.
#[cfg_attr(windows, allow(dead_code))]
fn named(policy: &Value) -> Vec<String> {
    let lists = [policy.get("LoopbackNetworkAllowedForUrls"), policy.pointer("/policies/LocalNetworkAccess/SkipDomains")];
    let entries = lists.into_iter().flatten().filter_map(Value::as_array).flatten();
    entries.filter_map(|entry| entry.as_str().map(str::to_owned)).collect()
}

/// The same from the registry, as `reg query` prints it.
#[cfg(windows)]
fn sites(browser: &Browser) -> Vec<String> {
    let Some(system) = std::env::var_os("SystemRoot") else { return Vec::new() };
    let reg = Path::new(&system).join("System32").join("reg.exe");
    let Ok(output) = std::process::Command::new(reg).args(["query", &browser.windows]).output() else { return Vec::new() };
    registry_values(&String::from_utf8_lossy(&output.stdout))
}

/// The texts in lines such as `    1    REG_SZ    https://sign.example`.
#[cfg_attr(not(windows), allow(dead_code))]
fn registry_values(printed: &str) -> Vec<String> {
    printed.lines().filter_map(|line| line.split_once("REG_SZ")).map(|(_, value)| value.trim().to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Places;

    fn config(origins: &[&str]) -> Config {
        let mut config = Config::empty(Places { data: "/d".into(), state: "/s".into() });
        config.http.origins = origins.iter().map(|origin| Origin::parse(origin).unwrap()).collect();
        config
    }

    #[test]
    fn snippets_name_the_sites_of_the_configuration_and_stay_well_formed() {
        let config = config(&["https://a.gov.example", "https://b.example:8443"]);
        let origins: Vec<_> = config.http.origins.iter().collect();
        let policy: Value = serde_json::from_str(&filled(CHROMIUM, &origins)).unwrap();
        for key in ["LoopbackNetworkAllowedForUrls", "LocalNetworkAccessAllowedForUrls"] {
            assert_eq!(policy[key], serde_json::json!(["https://a.gov.example", "https://b.example:8443"]));
        }
        let policy: Value = serde_json::from_str(&filled(FIREFOX, &origins)).unwrap();
        assert_eq!(policy["policies"]["LocalNetworkAccess"], serde_json::json!({"SkipDomains": ["a.gov.example", "b.example"]}));
        let registry = filled(WINDOWS, &origins);
        assert_eq!(registry.matches("\"1\"=\"https://a.gov.example\"").count(), 4);
        assert_eq!(registry.matches("\"2\"=\"https://b.example:8443\"").count(), 4);
        assert!(registry.contains("\"2\"=\"b.example\""));
        assert_eq!(filled(CHROMIUM, &[]), CHROMIUM);
        let printed = snippets(Some(&config), Language::English);
        assert!(printed.contains("http://127.0.0.1:17329") && printed.contains("ws://127.0.0.1:17338"), "{printed}");
    }

    #[test]
    fn policies_are_known_by_the_names_of_the_snippets() {
        for template in [CHROMIUM, FIREFOX] {
            let sites = named(&serde_json::from_str(template).unwrap());
            assert!(sites.iter().any(|site| covers(site, &Origin::parse("https://sign.example").unwrap())), "{sites:?}");
        }
        assert_eq!(browsers().len(), 4);
        assert_eq!(registry_values("\r\nHKEY\\X\r\n    1    REG_SZ    https://a.example\r\n"), ["https://a.example"]);
    }

    #[test]
    fn an_entry_covers_its_own_site_and_those_below_a_pattern() {
        let origin = Origin::parse("https://sign.gov.example:8443").unwrap();
        for site in [
            "https://sign.gov.example:8443",
            "https://sign.gov.example",
            "sign.gov.example",
            "*.gov.example",
            "[*.]gov.example",
            "https://[*.]gov.example:8443",
        ] {
            assert!(covers(site, &origin), "{site}");
        }
        for site in
            ["http://sign.gov.example", "https://sign.gov.example:1", "gov.example", "*.ov.example", "https://evil.example", ""]
        {
            assert!(!covers(site, &origin), "{site}");
        }
    }
}
