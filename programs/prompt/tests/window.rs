//! The prompt in a real X server (Xvfb), driven by the keyboard alone (xdotool). Both are Debian packages; without them the cases are
//! reported as ignored. Screenshots, where ImageMagick's `import` is there, go to `target/prompt-screenshots`.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use libtest_mimic::{Arguments, Failed, Trial};
use sealagent::question::{Answer, Document, Language, Leaf, Look, Page, Picture, Question, Said, Seal, Subject, Token};
use ukey::wire;

const PIN: &str = "135790";

type Case = fn(&Desk) -> Result<(), Failed>;

fn main() {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = Some(1); // one keyboard
    let missing = ["Xvfb", "xdotool"].into_iter().any(|program| which(program).is_none());
    let cases: Vec<(&str, Case)> = vec![
        ("keyboard_alone_approves_and_the_pin_comes_in_the_secret", keyboard_alone_approves),
        ("enter_within_the_first_second_accepts_nothing", enter_too_early),
        ("escape_means_no_and_gives_no_pin", escape_means_no),
        ("ctrl_v_and_middle_click_put_nothing_into_the_pin", paste_is_off),
        ("closed_standard_input_takes_the_window_away", withdrawn),
        ("right_to_left_title_of_10_000_characters_is_still_answered", long_title),
        ("page_down_turns_to_the_next_page_and_types_nothing", leafing),
        ("one_copy_of_the_pin_is_in_memory_while_it_is_typed", one_copy),
        ("a_prompt_that_is_killed_while_a_pin_is_typed_leaves_no_core", no_core),
    ];
    let trials =
        cases.into_iter().map(|(name, case)| Trial::test(name, move || case(&Desk::new())).with_ignored_flag(missing)).collect();
    libtest_mimic::run(&arguments, trials).exit();
}

fn which(program: &str) -> Option<PathBuf> {
    std::env::split_paths(&std::env::var_os("PATH")?).map(|dir| dir.join(program)).find(|path| path.exists())
}

/// One X server for one case; stopped by its own handle.
struct Desk {
    server: Child,
    display: String,
}

impl Desk {
    fn new() -> Self {
        let mut server = Command::new("Xvfb")
            .args(["-displayfd", "1", "-screen", "0", "1024x768x24", "-nolisten", "tcp", "-noreset"]) // a reset between two clients would cut off the prompt
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let mut number = String::new();
        BufReader::new(server.stdout.take().unwrap()).read_line(&mut number).unwrap();
        Self { server, display: format!(":{}", number.trim()) }
    }

    fn run(&self, program: &str, arguments: &[&str]) -> String {
        let output = Command::new(program).args(arguments).env("DISPLAY", &self.display).output().unwrap();
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    fn ask(&self, question: &Question) -> Child {
        let mut prompt = Command::new(env!("CARGO_BIN_EXE_sealagent-prompt"))
            .env("DISPLAY", &self.display)
            .env_remove("WAYLAND_DISPLAY")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        wire::write_frame(prompt.stdin.as_mut().unwrap(), question, b"").unwrap();
        prompt
    }

    /// Waits for the window and gives it the keyboard (there is no window manager here).
    fn await_window(&self, prompt: &mut Child) {
        let deadline = Instant::now() + Duration::from_secs(60);
        while self.run("xdotool", &["search", "--onlyvisible", "--name", "sealagent"]).trim().is_empty() {
            if let Some(status) = prompt.try_wait().unwrap() {
                let mut said = Vec::new();
                prompt.stdout.take().unwrap().read_to_end(&mut said).unwrap();
                panic!("the prompt ended ({status}): {}", String::from_utf8_lossy(&said));
            }
            assert!(Instant::now() < deadline, "no window came up; there are: {}", self.run("xwininfo", &["-root", "-tree"]));
            std::thread::sleep(Duration::from_millis(50));
        }
        self.run("xdotool", &["search", "--onlyvisible", "--name", "sealagent", "windowfocus", "--sync"]);
        std::thread::sleep(Duration::from_millis(300));
    }

    fn keys(&self, keys: &[&str]) {
        self.run("xdotool", &[&["key", "--delay", "40"], keys].concat());
    }

    fn type_pin(&self) {
        self.run("xdotool", &["type", "--delay", "40", PIN]);
    }

    fn picture(&self, name: &str) {
        if which("import").is_some() {
            let dir = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../prompt-screenshots");
            fs::create_dir_all(&dir).unwrap();
            self.run("import", &["-window", "root", dir.join(name).to_str().unwrap()]);
        }
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        let _ = self.server.kill();
        let _ = self.server.wait();
    }
}

fn question(name: &str) -> Question {
    let document = Document {
        name: name.to_owned(),
        format: "OFD".to_owned(),
        pages: Some(3),
        bytes: Some(186_368),
        sm3: "1ab29c04".repeat(8),
        placement: Some("第 3 页，134 × 212 mm".to_owned()),
        closes: false,
        seal: 0,
        seen: true,
        page: None,
        can_leaf: true,
    };
    let seal = Seal {
        name: "深圳市示例科技有限公司 合同专用章".to_owned(),
        es_id: "44030000012345".to_owned(),
        valid_to: "2028-04-24".to_owned(),
        signer: "深圳市示例科技有限公司".to_owned(),
        uscc: None,
        licence: None,
        unanswered: None,
        picture: None,
    };
    let token =
        Token { name: "Demo …4F2A".to_owned(), tries_left: Some(5), last_try: false, on_device: false, was_wrong: false };
    Question {
        language: Language::Zh,
        origin: "https://sign.example.gov.cn".to_owned(),
        origin_note: None,
        subject: Subject::Sign {
            documents: vec![document],
            seals: vec![seal],
            stamped_by: Some("stamp.example".to_owned()),
            token,
        },
        wait_ms: 1000,
        timeout_s: 60,
    }
}

fn answer(mut prompt: Child) -> (Answer, Vec<u8>) {
    let mut bytes = Vec::new();
    prompt.stdout.take().unwrap().read_to_end(&mut bytes).unwrap();
    assert!(prompt.wait().unwrap().success());
    match wire::read_frame::<Said>(&mut bytes.as_slice()).unwrap().unwrap() {
        (Said::Answer(answer), secret) => (answer, secret.to_vec()),
        (Said::Look(look), _) => panic!("{look:?} in place of an answer"),
    }
}

fn expect(found: (Answer, Vec<u8>), answer: Answer, secret: &[u8]) -> Result<(), Failed> {
    if found == (answer, secret.to_vec()) { Ok(()) } else { Err(format!("got {found:?}").into()) }
}

fn keyboard_alone_approves(desk: &Desk) -> Result<(), Failed> {
    let mut prompt = desk.ask(&question("采购合同.ofd"));
    desk.await_window(&mut prompt);
    std::thread::sleep(Duration::from_millis(1100));
    desk.type_pin();
    desk.picture("sign.png");
    desk.keys(&["Return"]);
    expect(answer(prompt), Answer::Approve, PIN.as_bytes())
}

fn enter_too_early(desk: &Desk) -> Result<(), Failed> {
    let mut asked = question("采购合同.ofd");
    asked.wait_ms = 60_000;
    let mut prompt = desk.ask(&asked);
    desk.await_window(&mut prompt);
    desk.type_pin();
    desk.keys(&["Return", "Return", "Tab", "Return", "space"]);
    desk.keys(&["Escape"]);
    expect(answer(prompt), Answer::Decline, b"")
}

fn escape_means_no(desk: &Desk) -> Result<(), Failed> {
    let mut prompt = desk.ask(&question("采购合同.ofd"));
    desk.await_window(&mut prompt);
    desk.type_pin();
    desk.keys(&["Escape"]);
    expect(answer(prompt), Answer::Decline, b"")
}

fn paste_is_off(desk: &Desk) -> Result<(), Failed> {
    let mut prompt = desk.ask(&question("采购合同.ofd"));
    desk.await_window(&mut prompt);
    std::thread::sleep(Duration::from_millis(1100));
    desk.type_pin();
    desk.keys(&["ctrl+a", "ctrl+c", "ctrl+x", "ctrl+v", "shift+Insert"]);
    desk.run("xdotool", &["mousemove", "200", "580", "click", "2"]); // inside the PIN field
    desk.keys(&["Return"]);
    expect(answer(prompt), Answer::Approve, PIN.as_bytes())
}

fn withdrawn(desk: &Desk) -> Result<(), Failed> {
    let mut prompt = desk.ask(&question("采购合同.ofd"));
    desk.await_window(&mut prompt);
    desk.type_pin();
    drop(prompt.stdin.take());
    expect(answer(prompt), Answer::Decline, b"")
}

fn long_title(desk: &Desk) -> Result<(), Failed> {
    let mut prompt = desk.ask(&question(&format!("合同\u{202e}{}", "长א".repeat(5000))));
    desk.await_window(&mut prompt);
    std::thread::sleep(Duration::from_millis(1100));
    desk.type_pin();
    desk.picture("right-to-left.png");
    desk.keys(&["Return"]);
    expect(answer(prompt), Answer::Approve, PIN.as_bytes())
}

/// A page of one colour, as a PNG file.
fn page(number: u32, gray: u8) -> Page {
    let mut file = Vec::new();
    let mut encoder = png::Encoder::new(&mut file, 210, 297);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&vec![gray; 210 * 297]).unwrap();
    Page { number, picture: Picture { png: wire::Bytes(file) }, incomplete: false }
}

fn leafing(desk: &Desk) -> Result<(), Failed> {
    let mut asked = question("采购合同.ofd");
    if let Subject::Sign { documents, .. } = &mut asked.subject {
        documents[0].page = Some(page(1, 200));
    }
    let mut prompt = desk.ask(&asked);
    desk.await_window(&mut prompt);
    std::thread::sleep(Duration::from_millis(1100));
    desk.type_pin();
    for number in [2, 3] {
        desk.keys(&["Next"]);
        let said = wire::read_frame::<Said>(prompt.stdout.as_mut().unwrap()).unwrap();
        let Some((Said::Look(look), _)) = said else { return Err(format!("no look: {said:?}").into()) };
        if look != (Look { document: 0, page: number, bare: false }) {
            return Err(format!("{look:?} for page {number}").into());
        }
        wire::write_frame(prompt.stdin.as_mut().unwrap(), &Leaf { look, page: Some(page(number, 100)) }, b"").unwrap();
        std::thread::sleep(Duration::from_millis(500));
    }
    desk.picture("page-3.png");
    desk.keys(&["Return"]);
    expect(answer(prompt), Answer::Approve, PIN.as_bytes())
}

fn one_copy(desk: &Desk) -> Result<(), Failed> {
    let mut prompt = desk.ask(&question("采购合同.ofd"));
    desk.await_window(&mut prompt);
    desk.type_pin();
    std::thread::sleep(Duration::from_millis(300));
    let copies = copies_in_writable_memory(prompt.id(), PIN.as_bytes());
    desk.keys(&["Escape"]);
    answer(prompt);
    match copies {
        Ok(1) => Ok(()),
        Ok(n) => Err(format!("{n} copies of the PIN").into()),
        Err(error) => Err(format!("the prompt's memory could not be read ({error}); run as root").into()),
    }
}

/// Attack item 36.
fn no_core(desk: &Desk) -> Result<(), Failed> {
    use std::os::unix::process::ExitStatusExt as _;
    let mut prompt = desk.ask(&question("采购合同.ofd"));
    desk.await_window(&mut prompt);
    desk.type_pin();
    let limits = fs::read_to_string(format!("/proc/{}/limits", prompt.id()))?;
    let core: Vec<&str> =
        limits.lines().find(|line| line.starts_with("Max core file size")).unwrap_or("").split_whitespace().collect();
    desk.run("kill", &["-ABRT", &prompt.id().to_string()]);
    let status = prompt.wait()?;
    match (core.get(4..6), status.signal(), status.core_dumped()) {
        (Some(["0", "0"]), Some(6), false) => Ok(()),
        found => Err(format!("{found:?}").into()),
    }
}

fn copies_in_writable_memory(pid: u32, needle: &[u8]) -> std::io::Result<usize> {
    use std::os::unix::fs::FileExt as _;
    let memory = fs::File::open(format!("/proc/{pid}/mem"))?;
    let mut copies = 0;
    for line in fs::read_to_string(format!("/proc/{pid}/maps"))?.lines().filter(|line| line.contains(" rw")) {
        let Some((start, end)) = line.split_once(' ').and_then(|(range, _)| range.split_once('-')) else { continue };
        let (Ok(start), Ok(end)) = (u64::from_str_radix(start, 16), u64::from_str_radix(end, 16)) else { continue };
        let mut bytes = vec![0; usize::try_from(end - start).unwrap_or(0)];
        if memory.read_exact_at(&mut bytes, start).is_ok() {
            copies += bytes.windows(needle.len()).filter(|window| window == &needle).count();
        }
    }
    Ok(copies)
}
