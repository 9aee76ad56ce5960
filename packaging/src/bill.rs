//! What is inside the programs: the crates that `cargo metadata` resolves for the target, without those that only build or test.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use jiff::Timestamp;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::{Problem, at};

/// The packages whose programs ship.
const SHIPPED: [&str; 6] =
    ["sealagent", "sealagent-preview", "sealagent-prompt", "sealagent-start", "sealagent-worker", "sealauthority"];
/// Longest licence file that is taken, in bytes: the longest in use, GPL-3, has 35 000.
const MAX_LICENCE_BYTES: u64 = 100_000;

/// One crate.
struct Part {
    id: String,
    name: String,
    version: String,
    licence: String,
    source: Option<String>,
    description: String,
    folder: PathBuf,
    needs: BTreeSet<String>,
}

/// Writes `sealagent.cdx.json` and `licences.txt`.
pub fn write(folder: &Path, target: &str, date: Timestamp) -> Result<(), Problem> {
    let parts = shipped(&metadata(target)?)?;
    let bill = folder.join("sealagent.cdx.json");
    fs::write(&bill, format!("{:#}\n", cyclone(&parts, target, date))).map_err(at(&bill))?;
    let list = folder.join("licences.txt");
    fs::write(&list, licences(&parts)).map_err(at(&list))
}

fn metadata(target: &str) -> Result<Value, Problem> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["metadata", "--locked", "--format-version", "1", "--filter-platform", target])
        .output()
        .map_err(|error| Problem::Cargo(error.to_string()))?;
    if !output.status.success() {
        return Err(Problem::Cargo(String::from_utf8_lossy(&output.stderr).trim().to_owned()));
    }
    serde_json::from_slice(&output.stdout).map_err(|error| Problem::Cargo(error.to_string()))
}

/// Everything that is linked into a shipped program, by name and version.
fn shipped(metadata: &Value) -> Result<Vec<Part>, Problem> {
    let list = |value: &Value, what| value.as_array().cloned().ok_or(Problem::Metadata(what));
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let packages: BTreeMap<String, Value> =
        list(&metadata["packages"], "packages")?.into_iter().map(|package| (text(&package["id"]), package)).collect();
    let mut needs: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for node in list(&metadata["resolve"]["nodes"], "resolved crates")? {
        // `kind` is null for what a program is made of, "build" and "dev" otherwise.
        let normal =
            |dep: &&Value| dep["dep_kinds"].as_array().is_some_and(|kinds| kinds.iter().any(|kind| kind["kind"].is_null()));
        let below = list(&node["deps"], "dependencies")?.iter().filter(normal).map(|dep| text(&dep["pkg"])).collect();
        needs.insert(text(&node["id"]), below);
    }
    let mut waiting: Vec<String> =
        packages.iter().filter(|(_, p)| SHIPPED.contains(&text(&p["name"]).as_str())).map(|(id, _)| id.clone()).collect();
    let mut found = BTreeSet::new();
    while let Some(id) = waiting.pop() {
        // A macro runs while building; nothing of it is in the program.
        let is_macro = packages.get(&id).is_some_and(|p| {
            p["targets"].as_array().is_some_and(|targets| {
                targets.iter().any(|t| t["kind"].as_array().is_some_and(|k| k.contains(&json!("proc-macro"))))
            })
        });
        if !is_macro && found.insert(id.clone()) {
            waiting.extend(needs.get(&id).into_iter().flatten().cloned());
        }
    }
    let mut parts = Vec::new();
    for id in &found {
        let package = packages.get(id).ok_or(Problem::Metadata("package of a resolved crate"))?;
        let manifest = PathBuf::from(text(&package["manifest_path"]));
        parts.push(Part {
            id: id.clone(),
            name: text(&package["name"]),
            version: text(&package["version"]),
            licence: package["license"].as_str().unwrap_or("see its files").replace('/', " OR "),
            source: package["source"].as_str().map(str::to_owned),
            description: text(&package["description"]).split_whitespace().collect::<Vec<_>>().join(" "),
            folder: manifest.parent().map(Path::to_owned).unwrap_or_default(),
            needs: needs.get(id).map(|all| all.intersection(&found).cloned().collect()).unwrap_or_default(),
        });
    }
    parts.sort_by(|a, b| (&a.name, &a.version).cmp(&(&b.name, &b.version)));
    Ok(parts)
}

impl Part {
    /// Package URL; our own crates are of the repository, not of a registry.
    fn purl(&self) -> String {
        let kind = if self.source.is_some() { "cargo" } else { "generic" };
        format!("pkg:{kind}/{}@{}", self.name, self.version)
    }
}

fn cyclone(parts: &[Part], target: &str, date: Timestamp) -> Value {
    let reference: BTreeMap<&str, String> = parts.iter().map(|part| (part.id.as_str(), part.purl())).collect();
    let component = |part: &Part| {
        json!({
            "type": if SHIPPED.contains(&part.name.as_str()) { "application" } else { "library" },
            "bom-ref": part.purl(), "purl": part.purl(), "name": part.name, "version": part.version,
            "description": part.description, "licenses": [{ "expression": part.licence }], "scope": "required",
        })
    };
    let depends = |part: &Part| {
        let on: BTreeSet<&String> = part.needs.iter().filter_map(|id| reference.get(id.as_str())).collect();
        json!({ "ref": part.purl(), "dependsOn": on })
    };
    let components: Vec<Value> = parts.iter().map(component).collect();
    let dependencies: Vec<Value> = parts.iter().map(depends).collect();
    // The serial number says which contents these are, so it is made from them.
    let mut digest = Sha256::new();
    digest.update(target);
    for part in parts {
        digest.update(part.purl());
    }
    let hex: String = digest.finalize().iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let serial = format!("urn:uuid:{}-{}-8{}-a{}-{}", &hex[..8], &hex[8..12], &hex[13..16], &hex[17..20], &hex[20..32]);
    json!({
        "bomFormat": "CycloneDX", "specVersion": "1.5", "serialNumber": serial, "version": 1,
        "metadata": {
            "timestamp": date.to_string(),
            "component": {
                "type": "application", "bom-ref": "sealagent-packages", "name": "sealagent packages",
                "version": env!("CARGO_PKG_VERSION"),
            },
            "properties": [{ "name": "target", "value": target }],
        },
        "components": components, "dependencies": dependencies,
    })
}

fn licences(parts: &[Part]) -> String {
    let mut out = String::from("Crates that are built into the programs of sealagent, and their licences.\n\n");
    let mut texts: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for part in parts {
        let _ = writeln!(out, "{} {}: {}", part.name, part.version, part.licence);
        if part.source.is_some() {
            for text in files(&part.folder) {
                texts.entry(text).or_default().insert(format!("{} {}", part.name, part.version));
            }
        }
    }
    for (text, of) in texts {
        let of: Vec<String> = of.into_iter().collect();
        let _ = write!(out, "\n{}\n{}\n\n{}\n", "=".repeat(78), of.join(", "), text.trim_end());
    }
    out
}

/// The licence files of a crate, without its own additions to the file system: plain files of a known name.
fn files(folder: &Path) -> Vec<String> {
    let Ok(entries) = fs::read_dir(folder) else { return Vec::new() };
    let mut names: Vec<PathBuf> = entries.filter_map(Result::ok).map(|entry| entry.path()).collect();
    names.sort();
    let is_licence = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().to_uppercase()).unwrap_or_default();
        ["LICENSE", "LICENCE", "COPYING", "NOTICE", "UNLICENSE"].iter().any(|start| name.starts_with(start))
            && fs::symlink_metadata(path).is_ok_and(|meta| meta.is_file() && meta.len() <= MAX_LICENCE_BYTES)
    };
    names
        .iter()
        .filter(|path| is_licence(path))
        .filter_map(|path| fs::read_to_string(path).ok())
        .map(|text| text.replace('\r', ""))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test program is built for the machine that it runs on, so that machine's crates are on it.
    #[test]
    fn bill_names_what_is_linked_and_no_tool_of_building_or_testing() {
        let parts = shipped(&metadata("x86_64-unknown-linux-gnu").unwrap()).unwrap();
        let has = |name: &str| parts.iter().any(|part| part.name == name);
        assert!(["sealagent", "sealauthority", "tokio", "hyper", "sm2", "pcsc", "winit"].iter().all(|name| has(name)));
        assert!(!["proptest", "divan", "serde_derive", "pkg-config", "windows-sys", "clap_mangen"].iter().any(|name| has(name)));
        let bill = cyclone(&parts, "x86_64-unknown-linux-gnu", Timestamp::UNIX_EPOCH);
        assert_eq!(bill["components"].as_array().unwrap().len(), parts.len());
        assert!(parts.iter().all(|part| !part.licence.is_empty()));
        // Nobody's home folder is in it.
        assert!(!bill.to_string().contains("/registry/"));
    }
}
