//! `sealagent trust`: which regions are accepted, and what is known from them.

use std::fs;
use std::io::{self, BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Subcommand;
use jiff::Timestamp;
use serde::Serialize;

use super::{FAILED, Problem, UNREADABLE, no_fetching};
use crate::config::Config;
use crate::consent::summary::Shown;
use crate::consent::text::date;
use crate::failure::Language;
use crate::fetch::{FetchError, Fetcher};
use crate::pki::certificate::hex;
use crate::pki::signed::is_region_name;
use crate::regions::refresh::RefreshError;
use crate::regions::{Introduction, KnownRegion, RegionError, Regions, Taken, unhex};

/// Largest file that is read here, in bytes: a revocation list at its own limit.
const MAX_FILE: u64 = 100 << 20;

/// Arguments of `trust`.
#[derive(Debug, clap::Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Args {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// List the regions.
    List {
        /// Print JSON for programs.
        #[arg(long)]
        json: bool,
    },
    /// Take files that regions signed: trust lists (asks before a region is accepted), seal status, licences, revocation lists. The
    /// name of a region to which an accepted list points fetches its list.
    Import {
        /// Files, or names of regions.
        #[arg(required = true, value_name = "FILE|REGION")]
        from: Vec<PathBuf>,
        /// Accept the region whose list is signed with this certificate (SHA-256) without asking.
        #[arg(long, value_name = "SHA256")]
        fingerprint: Option<String>,
    },
    /// Fetch newer lists, seal status and revocation lists from the places that accepted lists name.
    Update {
        /// Only of this region.
        region: Option<String>,
    },
    /// Take trust in a region back.
    Remove {
        /// Its short name.
        region: String,
        /// Forget also which list was its last: needed before a list under another key can be accepted.
        #[arg(long)]
        forget: bool,
    },
}

/// Runs `trust …`.
pub fn run(config: &Config, args: &Args, language: Language) -> Result<ExitCode, Problem> {
    let regions = Regions::new(&config.places.trust(), config.presets.clone());
    let now = Timestamp::now();
    match &args.command {
        None => list(&regions, false, now, language),
        Some(Command::List { json }) => list(&regions, *json, now, language),
        Some(Command::Import { from, fingerprint }) => {
            let fingerprint = match fingerprint.as_deref().map(unhex) {
                Some(None) => return Err(Problem::new(super::WRONG_USE, "--fingerprint: 64 hexadecimal digits", "")),
                Some(given) => given,
                None => None,
            };
            for file in from {
                import(config, &regions, file, fingerprint, now, language)?;
            }
            Ok(ExitCode::SUCCESS)
        }
        Some(Command::Update { region }) => update(config, &regions, region.as_deref(), now, language),
        Some(Command::Remove { region, forget }) => {
            regions.remove(region, *forget, now).map_err(|error| problem(&error, "", language))?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct View<'a> {
    region: &'a str,
    name: Shown,
    accepted: bool,
    since: Timestamp,
    sequence: u64,
    issued: Timestamp,
    next_update: Timestamp,
    expired: bool,
    signer: String,
    services: usize,
}

fn list(regions: &Regions, json: bool, now: Timestamp, language: Language) -> Result<ExitCode, Problem> {
    let (known, problems) = regions.all();
    for problem in &problems {
        eprintln!("{}{problem}", language.pick("hint: ", "提示："));
    }
    let views: Vec<View<'_>> = known.iter().map(|region| view(region, now)).collect();
    if json {
        println!("{}", serde_json::to_string(&views).map_err(io::Error::from)?);
        return Ok(ExitCode::SUCCESS);
    }
    for view in views {
        let state = match (view.accepted, view.expired) {
            (false, _) => language.pick("not accepted", "未接受"),
            (true, true) => language.pick("list expired", "列表已过期"),
            (true, false) => language.pick("accepted", "已接受"),
        };
        let until = language.pick("list until", "列表有效至");
        println!("{}  {}  {state}  #{}  {until} {}", view.region, view.name, view.sequence, date(view.next_update));
        println!("    SHA-256 {}", grouped(&view.signer));
    }
    Ok(ExitCode::SUCCESS)
}

fn view(region: &KnownRegion, now: Timestamp) -> View<'_> {
    let list = region.list.list();
    View {
        region: &list.region,
        name: Shown::new(&list.name),
        accepted: region.accepted,
        since: region.since,
        sequence: list.sequence,
        issued: list.issued,
        next_update: list.next_update,
        expired: list.next_update < now,
        signer: region.list.signer().sha256_hex(),
        services: list.services.len(),
    }
}

/// A fingerprint as people compare it: groups of four digits.
fn grouped(fingerprint: &str) -> String {
    let groups: Vec<String> = fingerprint.as_bytes().chunks(4).map(|c| String::from_utf8_lossy(c).into_owned()).collect();
    groups.join(" ")
}

fn import(
    config: &Config,
    regions: &Regions,
    from: &Path,
    fingerprint: Option<[u8; 32]>,
    now: Timestamp,
    language: Language,
) -> Result<(), Problem> {
    let what = from.display().to_string();
    let bytes = match from.to_str().filter(|name| is_region_name(name) && !from.is_file()) {
        Some(region) => {
            let fetcher = fetcher(config, language)?;
            let runtime = tokio::runtime::Runtime::new()?;
            let fetched = runtime.block_on(regions.follow_pointer(&fetcher, region));
            fetched.map_err(|error| refresh_problem(&error, &what, language))?
        }
        None => {
            let unreadable = |error: io::Error| Problem::new(UNREADABLE, format!("{what}: {error}"), "");
            if fs::metadata(from).map_err(unreadable)?.len() > MAX_FILE {
                return Err(Problem::new(UNREADABLE, format!("{what}: larger than {MAX_FILE} bytes"), ""));
            }
            fs::read(from).map_err(unreadable)?
        }
    };
    let mut ask = |introduction: &Introduction| match fingerprint {
        Some(wanted) => {
            introduce(introduction, language);
            introduction.list.signer().sha256() == &wanted
        }
        None => {
            introduce(introduction, language);
            confirmed(language)
        }
    };
    let taken = regions.take(&bytes, now, &mut ask).map_err(|error| problem(&error, &what, language))?;
    println!("{}", words(&taken, language));
    Ok(())
}

/// What a person needs to decide: whose list it is, under which key, and who would be believed for what.
fn introduce(introduction: &Introduction, language: Language) {
    let signed = &introduction.list;
    let list = signed.list();
    let say =
        |english: &str, chinese: &str, value: &dyn std::fmt::Display| println!("{}{value}", language.pick(english, chinese));
    say("Region:       ", "地区：", &format!("{}  {}", Shown::new(&list.name), list.region));
    say("List:         ", "列表：", &format!("#{}  {} – {}", list.sequence, date(list.issued), date(list.next_update)));
    say("Signed by:    ", "签发人：", &Shown::new(&signed.signer().subject().to_string()));
    say("SHA-256:      ", "指纹：", &grouped(&signed.signer().sha256_hex()));
    for signer in list.signers.iter().filter(|signer| signer.der() != signed.signer().der()) {
        say("Next signer:  ", "下一签发人：", &grouped(&hex(signer.sha256())));
    }
    for service in &list.services {
        let name = service.certificates.first().map_or_else(String::new, |c| c.subject().short());
        println!("  {:?}  {}  {}", service.kind, Shown::new(&service.provider.name), Shown::new(&name));
    }
    for (region, same) in &introduction.named_by {
        match same {
            true => say("Named, under this key, by the list of: ", "以下地区的列表以同一密钥指向它：", region),
            false => say("WARNING: another key is named by the list of: ", "警告：以下地区的列表给出的是另一密钥：", region),
        }
    }
    if introduction.removed_before {
        println!("{}", language.pick("This region was accepted before and removed.", "该地区曾被接受，后被移除。"));
    }
}

fn confirmed(language: Language) -> bool {
    if !io::stdin().is_terminal() {
        return false;
    }
    let question = language.pick(
        "Compare the fingerprint with what the region published elsewhere. Accept this region? Type yes: ",
        "请将指纹与该地区另行公布的指纹核对。是否接受该地区？输入 yes 确认：",
    );
    print!("{question}");
    let _ = io::stdout().flush();
    let mut line = String::new();
    io::stdin().lock().read_line(&mut line).is_ok() && line.trim() == "yes"
}

fn fetcher(config: &Config, language: Language) -> Result<Fetcher, Problem> {
    let hint = language.pick("bring the file by hand", "请手工导入文件");
    config.fetch.by_hand().ok_or_else(|| Problem::new(FAILED, no_fetching(language), hint))
}

fn update(
    config: &Config,
    regions: &Regions,
    only: Option<&str>,
    now: Timestamp,
    language: Language,
) -> Result<ExitCode, Problem> {
    let known = regions.all().0;
    if let Some(only) = only.filter(|only| !known.iter().any(|region| region.accepted && region.list.list().region == **only)) {
        return Err(problem(&RegionError::Unknown(only.to_owned()), "", language));
    }
    let fetcher = fetcher(config, language)?;
    let runtime = tokio::runtime::Runtime::new()?;
    let asked = runtime.block_on(regions.refresh(&fetcher, only, true, now));
    let mut failed = false;
    for one in &asked {
        match &one.result {
            Ok(taken) => println!("{}  {}", one.location.url, words(taken, language)),
            Err(error) => {
                failed = true;
                let kept = match error {
                    RefreshError::Fetch(error) if error.is_outage() => {
                        language.pick("; what is here stays in use until it is too old", "；已有数据在过期前继续使用")
                    }
                    _ => language.pick("; what is here stays", "；保留已有数据"),
                };
                eprintln!("{}  {error}{kept}", one.location.url);
            }
        }
    }
    if asked.is_empty() {
        println!("{}", language.pick("The accepted lists name no place to fetch from.", "已接受的列表未给出任何获取地址。"));
    }
    Ok(if failed { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn words(taken: &Taken, language: Language) -> String {
    let (english, chinese, what) = match taken {
        Taken::Accepted(region) => ("region accepted:", "已接受地区：", region.clone()),
        Taken::Updated(region, number) => ("trust list replaced:", "信任列表已更新：", format!("{region} #{number}")),
        Taken::Unchanged(region) => ("nothing new:", "无变化：", region.clone()),
        Taken::Status(region, number) => ("seal status:", "印章状态：", format!("{region} #{number}")),
        Taken::Answer(region, es_id) => ("seal status:", "印章状态：", format!("{region} {}", Shown::new(es_id))),
        Taken::Licence(region, uscc) => ("licence statement:", "执照证明：", format!("{region} {}", Shown::new(uscc))),
        Taken::Revocation(region) => ("revocation data:", "撤销数据：", region.clone()),
    };
    format!("{} {what}", language.pick(english, chinese))
}

fn refresh_problem(error: &RefreshError, what: &str, language: Language) -> Problem {
    match error {
        RefreshError::Region(error) => problem(error, what, language),
        RefreshError::Fetch(FetchError::Private { .. }) => {
            let hint = language.pick(
                "the list must mark the place as private, or the file be brought by hand",
                "须由列表将该地址标为内网地址，或手工导入文件",
            );
            Problem::new(FAILED, format!("{what}: {error}"), hint)
        }
        _ => Problem::new(
            FAILED,
            format!("{what}: {error}"),
            language.pick("try later, or bring the file by hand", "请稍后再试，或手工导入文件"),
        ),
    }
}

fn problem(error: &RegionError, what: &str, language: Language) -> Problem {
    use crate::pki::trust_list::ListRefusal;
    let hint = match error {
        RegionError::Refused(ListRefusal::WrongSigner(_)) => language.pick(
            "the last accepted list stays. If the region says that its key was lost: compare the new fingerprint, trust remove --forget, then import",
            "保留上一份列表。若该地区声明密钥已作废：请核对新指纹，执行 trust remove --forget 后重新导入",
        ),
        RegionError::Refused(ListRefusal::Disagrees(_)) => language.pick(
            "the last accepted list stays. Two lists with one number: ask the region which is right",
            "保留上一份列表。同一序号出现两份不同列表：请向该地区核实",
        ),
        RegionError::Refused(_) | RegionError::OldStatus { .. } => {
            language.pick("the last accepted one stays", "保留已接受的数据")
        }
        RegionError::Declined => language.pick("compare the fingerprint, then accept", "请核对指纹后再接受"),
        RegionError::Unclaimed => {
            language.pick("import the trust list of its region first", "请先导入其所属地区的信任列表")
        }
        RegionError::Policy(_) => language.pick("ask the IT department", "请联系信息部门"),
        RegionError::Unknown(_) => language.pick("see: sealagent trust", "请查看：sealagent trust"),
        _ => "",
    };
    let exit = match error {
        RegionError::NotKnown | RegionError::Signed(_) => UNREADABLE,
        _ => FAILED,
    };
    let what = if what.is_empty() { error.to_string() } else { format!("{what}: {error}") };
    Problem::new(exit, what, hint)
}
