use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::super::Origin;
use super::super::prompt::{Canceller, PromptQueue, Prompter};
use super::super::summary::tests::summary;
use super::super::summary::{DocumentShown, Requester, Shown};
use super::*;

/// A program that keeps what it is told and does one step of a script at each CONFIRM and GETPIN. Its folder is one that others
/// cannot write.
struct Fake {
    folder: tempfile::TempDir,
    pinentry: Pinentry,
}

const YES: &str = "echo OK";
const PIN: &str = "printf 'D 246813\\nOK\\n'";
const CANCEL: &str = "echo 'ERR 83886179 Operation cancelled <Pinentry>'";
const NOT_CONFIRMED: &str = "echo 'ERR 83886194 Not confirmed <Pinentry>'";

impl Fake {
    /// Any answer counts, as soon as it is there.
    fn new(steps: &[&str]) -> Self {
        let build = std::env::current_exe().unwrap().parent().unwrap().to_owned();
        let folder = tempfile::tempdir_in(build).unwrap();
        let (program, at) = (folder.path().join("pinentry"), folder.path().display());
        for (n, step) in steps.iter().enumerate() {
            fs::write(folder.path().join(format!("step{}", n + 1)), step).unwrap();
        }
        let script = format!(
            "#!/bin/sh\necho $$ >'{at}/process'\necho 'OK Pleased to meet you, process 1'\nn=0\nwhile IFS= read -r line; do\n\
             printf '%s\\n' \"$line\" >>'{at}/told'\ncase \"$line\" in\n\
             CONFIRM|GETPIN) n=$((n+1)); . '{at}/step'$n ;;\n\
             OPTION*) echo 'ERR 83886254 Unknown option <Pinentry>' ;;\n*) echo '# a comment'; echo OK ;;\nesac\ndone\n"
        );
        fs::write(&program, script).unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o700)).unwrap();
        let pinentry = Pinentry { program, terminal: None, language: Language::English, delay: Duration::ZERO };
        Self { folder, pinentry }
    }

    /// What it was told; nothing when it was not started.
    fn told(&self) -> Vec<String> {
        let told = fs::read_to_string(self.folder.path().join("told")).unwrap_or_default();
        told.lines().map(str::to_owned).collect()
    }

    /// The texts that were shown, each before what asked for an answer to it: `CONFIRM text` or `GETPIN text`.
    fn shown(&self) -> Vec<String> {
        let (mut out, mut last) = (Vec::new(), String::new());
        for line in self.told() {
            match line.strip_prefix("SETDESC ") {
                Some(text) => last = text.replace("%0A", "\n").replace("%25", "%"),
                None if line == "CONFIRM" || line == "GETPIN" => out.push(format!("{line} {last}")),
                None => {}
            }
        }
        out
    }
}

async fn asked(steps: &[&str], summary: &Summary) -> (Answer, Fake) {
    let fake = Fake::new(steps);
    (fake.pinentry.ask(summary).await, fake)
}

fn pin_of(answer: &Answer) -> &[u8] {
    let Answer::Approve(Credential::Pin(pin)) = answer else { panic!("{answer:?}") };
    pin.expose()
}

/// A "yes" to every screen of the summary, and then `last`.
async fn agreed(summary: &Summary, last: &[&'static str]) -> (Answer, Fake) {
    let mut told = lines(summary, Language::English);
    if summary.pin.on_device {
        told.push(text("on_device", Language::English).to_owned());
    }
    let steps: Vec<_> = [YES].repeat(screens(&told).unwrap().len()).into_iter().chain(last.iter().copied()).collect();
    asked(&steps, summary).await
}

fn batch(count: usize) -> Summary {
    let mut batch = summary();
    batch.items = vec![batch.items[0].clone(); count];
    batch
}

#[tokio::test]
async fn the_whole_summary_is_confirmed_before_the_pin_is_asked_for() {
    let (answer, fake) = asked(&[YES, YES, "echo 'S BUTTON_INFO ok'; printf 'D 24%%256%%38%%0d\\nOK\\n'"], &summary()).await;
    assert_eq!(pin_of(&answer), b"24%68\r", "escapes stand for the bytes that they name");
    let shown = fake.shown();
    assert_eq!(shown.iter().map(|s| &s[..7]).collect::<Vec<_>>(), ["CONFIRM", "CONFIRM", "GETPIN "]);
    let confirmed = shown[..2].join("\n").replace("\n    ↳ ", "");
    for line in lines(&summary(), Language::English) {
        assert!(confirmed.contains(&line), "{line} not in {confirmed}");
    }
    for part in ["https://sign.example", "合同专用章", "Tries left: 5"] {
        assert!(shown[2].contains(part), "{part} not in {}", shown[2]);
    }
    let title = fake.told().iter().position(|line| line == "SETTIMEOUT 0");
    assert!(title < fake.told().iter().position(|line| line == "CONFIRM"));
}

#[tokio::test]
async fn cancel_and_closed_windows_are_a_no_and_errors_are_no_prompt() {
    for no in [CANCEL, NOT_CONFIRMED, "echo 'ERR 83886278 cancelled, and the window closed'"] {
        for steps in [vec![no], vec![YES, no], vec![YES, YES, no]] {
            let (answer, fake) = asked(&steps, &summary()).await;
            assert!(matches!(answer, Answer::Decline), "{answer:?}");
            assert_eq!(fake.shown().len(), steps.len(), "nothing is asked after a no");
        }
    }
    let (answer, _) = asked(&[YES, YES, YES], &summary()).await;
    assert!(matches!(answer, Answer::Decline), "no PIN is a no: {answer:?}");
    for error in ["echo 'ERR 83918950 Inappropriate ioctl for device'", "echo 'ERR'", "echo 'ERR x'", "echo 'ERR 99999999999'"] {
        let (answer, _) = asked(&[error], &summary()).await;
        assert!(matches!(answer, Answer::NoPrompt), "{error}: {answer:?}");
    }
}

/// Attack item 25.
#[tokio::test]
async fn what_comes_at_once_was_typed_for_another_window() {
    const LATE: &str = "sleep 1.7; ";
    let mut fake =
        Fake::new(&[YES, &format!("{LATE}{YES}"), &format!("{LATE}{YES}"), PIN, &format!("{LATE}printf 'D 975310\\nOK\\n'")]);
    fake.pinentry.delay = Duration::from_millis(1500);
    assert_eq!(pin_of(&fake.pinentry.ask(&summary()).await), b"975310", "the early PIN is dropped");
    let shown = fake.shown();
    let early = text("pinentry_early", Language::English);
    assert_eq!(shown.iter().map(|s| s.contains(early)).collect::<Vec<_>>(), [false, true, false, false, true]);
    let mut fake = Fake::new(&[YES; EARLY_ROUNDS]);
    fake.pinentry.delay = Duration::from_secs(60);
    let answer = fake.pinentry.ask(&summary()).await;
    assert!(matches!(answer, Answer::Decline), "{answer:?}");
    let mut fake = Fake::new(&[PIN; EARLY_ROUNDS]);
    fake.pinentry.delay = Duration::from_secs(60);
    let change = PinChangeShown { token: summary().token, pin: summary().pin, attempt: 1 };
    let answer = fake.pinentry.ask_pin_change(&change).await;
    assert!(matches!(answer, PinChangeAnswer::Decline), "{answer:?}");
    assert_eq!(fake.shown().len(), EARLY_ROUNDS);
}

/// Attack item 34.
#[tokio::test]
async fn the_last_try_is_confirmed_by_itself() {
    let mut last = summary();
    last.pin.tries_left = Some(1);
    let (answer, fake) = asked(&[YES, YES, YES, PIN], &last).await;
    assert_eq!(pin_of(&answer), b"246813");
    assert_eq!(fake.shown()[2], format!("CONFIRM {}", text("last_try", Language::English)));
    let (answer, fake) = asked(&[YES, YES, CANCEL], &last).await;
    assert!(matches!(answer, Answer::Decline), "{answer:?}");
    assert!(!fake.told().contains(&"GETPIN".to_owned()));
}

#[tokio::test]
async fn a_wrong_pin_is_told_and_asked_for_again_with_the_tries_that_are_left() {
    let mut again = summary();
    (again.attempt, again.pin.tries_left) = (2, Some(4));
    let (answer, fake) = asked(&[YES, YES, PIN], &again).await;
    assert_eq!(pin_of(&answer), b"246813");
    let shown = fake.shown();
    assert!(shown[0].contains(text("wrong_pin", Language::English)), "{}", shown[0]);
    assert!(shown[2].contains("Tries left: 4"), "{}", shown[2]);
}

#[tokio::test]
async fn a_long_batch_is_split_and_a_longer_one_is_not_shown_in_part() {
    let (answer, fake) = agreed(&batch(4), &[PIN]).await;
    assert_eq!(pin_of(&answer), b"246813");
    let shown = fake.shown();
    let count = shown.len() - 1;
    assert!((3..=MAX_SCREENS).contains(&count), "{shown:?}");
    for (n, screen) in shown[..count].iter().enumerate() {
        assert!(screen.starts_with(&format!("CONFIRM {}/{count}\n", n + 1)), "{screen}");
    }
    let (answer, fake) = asked(&[YES, CANCEL], &batch(4)).await;
    assert!(matches!(answer, Answer::Decline), "each screen can be declined: {answer:?}");
    assert!(!fake.told().contains(&"GETPIN".to_owned()));
    let (answer, fake) = asked(&[YES; 100], &batch(100)).await;
    assert!(matches!(answer, Answer::NoPrompt), "{answer:?}");
    assert_eq!(fake.told(), Vec::<String>::new(), "the program is not even started");
}

#[test]
fn screens_hold_every_line_within_rows_columns_and_bytes() {
    let all = lines(&batch(4), Language::Chinese);
    let screens = screens(&all).unwrap();
    assert!((2..=MAX_SCREENS).contains(&screens.len()), "{}", screens.len());
    for screen in &screens {
        assert!(screen.lines().count() <= ROWS && escaped(screen).len() <= SCREEN_BYTES, "{screen}");
        let width = |row: &str| row.chars().map(|c| if c < '\u{1100}' { 1 } else { 2 }).sum::<usize>();
        assert!(screen.lines().all(|row| width(row) <= COLUMNS), "{screen}");
    }
    let told = screens.join("\n").replace("\n    ↳ ", "");
    assert!(all.iter().filter(|line| !line.is_empty()).all(|line| told.contains(line)), "{told}");
    let worst = super::screens(&["%".repeat(2000)]).unwrap();
    assert!(worst.len() > 1 && worst.iter().all(|screen| escaped(screen).len() <= SCREEN_BYTES));
}

/// `pinentry-tty` takes the first letter of a button's words for "press it"; where both have the same one, only "cancel" can be had.
#[test]
fn no_button_has_the_first_letter_of_cancel() {
    let first = |key| text(key, Language::English).chars().next().unwrap().to_ascii_lowercase();
    for key in ["pinentry_agree", "pinentry_allow", "pinentry_continue", "pinentry_last"] {
        assert_ne!(first(key), first("pinentry_cancel"), "{key}");
    }
}

#[tokio::test]
async fn a_hostile_name_stays_one_text_in_one_line() {
    let mut hostile = summary();
    let name = "100%0ATries left: 9\nGETPIN\r<b>x</b> &lt;".to_owned() + &" ".repeat(40) + "Tries left: 99";
    hostile.items[0].document = DocumentShown::DigestOnly { name: Shown::new(&name), sm3: crate::sm::sm3(b"") };
    let (answer, fake) = asked(&[CANCEL], &hostile).await;
    assert!(matches!(answer, Answer::Decline), "{answer:?}");
    let told = fake.told();
    let told = told.iter().find(|line| line.starts_with("SETDESC")).unwrap();
    assert!(told.contains("100%250ATries left: 9") && !told.contains("100%0A"), "{told}");
    assert!(!told.contains('<') && !told.contains('&'), "{told}");
    let rows: Vec<&str> = told.split("%0A").collect();
    assert!(rows.iter().all(|row| !row.starts_with("Tries left: 9")), "a row that continues says so: {rows:?}");
    assert!(told.len() <= MAX_LINE_BYTES);
}

#[tokio::test]
async fn nonsense_endless_output_and_a_sudden_end_are_no_prompt() {
    for at_confirm in [
        "exit 0",
        "printf 'O'; exit 0",
        "echo 'yes'",
        "echo 'OKAY'",
        "echo",
        "printf 'D 246813\\nOK\\n'",
        "while :; do echo '# on and on'; done",
        "head -c 100000 /dev/zero | tr '\\0' x; exit 0",
        "printf '\\377\\376\\n'",
    ] {
        let (answer, _) = asked(&[at_confirm], &summary()).await;
        assert!(matches!(answer, Answer::NoPrompt), "{at_confirm}: {answer:?}");
    }
    for at_pin in [
        "printf 'D 246813\\n'; exit 0",
        "printf 'D 246813'; exit 0",
        "printf 'D 24%%6\\nOK\\n'",
        "printf 'D 24%%zz\\nOK\\n'",
        "printf 'D 24%%'; exit 0",
        "printf 'S PASSWORD_FROM_CACHE\\nD 246813\\nOK\\n'",
        "printf 'D 246813\\nINQUIRE QUALITY\\n'",
    ] {
        let (answer, _) = asked(&[YES, YES, at_pin], &summary()).await;
        assert!(matches!(answer, Answer::NoPrompt), "{at_pin}: {answer:?}");
    }
}

#[tokio::test]
async fn a_pin_that_is_too_long_is_refused_and_not_cut() {
    let data = |count: usize| format!("printf 'D {}\\nOK\\n'", "1".repeat(count));
    let (answer, _) = asked(&[YES, YES, &data(MAX_PIN_BYTES)], &summary()).await;
    assert_eq!(pin_of(&answer).len(), MAX_PIN_BYTES);
    for step in [data(MAX_PIN_BYTES + 1), data(900), format!("printf 'D {0}\\nD {0}\\nOK\\n'", "1".repeat(40))] {
        let (answer, _) = asked(&[YES, YES, &step], &summary()).await;
        assert!(matches!(answer, Answer::Unacceptable), "{answer:?}");
    }
}

#[tokio::test]
async fn a_pin_that_is_typed_on_the_device_is_not_asked_for() {
    let mut device = summary();
    device.pin.on_device = true;
    let (answer, fake) = asked(&[YES, YES], &device).await;
    assert!(matches!(answer, Answer::Approve(Credential::OnDevice)), "{answer:?}");
    let shown = fake.shown();
    assert!(shown.iter().all(|s| s.starts_with("CONFIRM")));
    assert!(shown[1].ends_with(text("on_device", Language::English)), "{}", shown[1]);
}

/// Attack item 22.
#[tokio::test]
async fn a_pairing_shows_origin_and_code_and_is_granted_once() {
    let shown = PairingShown { origin: Origin::parse("https://sign.example").unwrap(), code: "042317".into(), label: None };
    for (step, expected) in [
        (YES, PairingAnswer::Once),
        (CANCEL, PairingAnswer::Refused),
        (NOT_CONFIRMED, PairingAnswer::Refused),
        ("exit 0", PairingAnswer::NoPrompt),
    ] {
        let fake = Fake::new(&[step]);
        assert_eq!(fake.pinentry.ask_pairing(&shown).await, expected, "{step}");
        assert!(fake.shown()[0].contains("https://sign.example") && fake.shown()[0].contains("042 317"));
    }
}

#[tokio::test]
async fn a_new_pin_is_typed_twice_and_keeps_the_rules() {
    let pin = |digits: &str| format!("printf 'D {digits}\\nOK\\n'");
    let (old, new, other, short) = (pin("135790"), pin("246824"), pin("246825"), pin("2468"));
    let change = |steps: Vec<&str>, tries: u32| {
        let fake = Fake::new(&steps);
        async move {
            let mut shown = PinChangeShown { token: summary().token, pin: summary().pin, attempt: 1 };
            shown.pin.tries_left = Some(tries);
            (fake.pinentry.ask_pin_change(&shown).await, fake)
        }
    };
    let slips = [&new, &other, &short, &short, &old, &old, &new, &new].map(String::as_str);
    let (answer, fake) = change([old.as_str()].into_iter().chain(slips).collect(), 5).await;
    let PinChangeAnswer::Approve(change_made) = answer else { panic!("{answer:?}") };
    assert_eq!((change_made.old.expose(), change_made.new.expose()), (b"135790".as_slice(), b"246824".as_slice()));
    let shown = fake.shown();
    assert!(shown[0].contains("Tries left: 5"), "{}", shown[0]);
    for (at, key) in [(3, "pin_differs"), (5, "pin_short"), (7, "pin_same")] {
        assert!(shown[at].contains(text(key, Language::English)), "{}", shown[at]);
    }
    let (answer, fake) = change(vec![YES, &old, &new, &new], 1).await;
    assert!(matches!(answer, PinChangeAnswer::Approve(_)), "{answer:?}");
    assert!(fake.shown()[0].starts_with("CONFIRM") && fake.shown()[0].contains(text("last_try", Language::English)));
    for steps in [vec![CANCEL], vec![YES], vec![&old, CANCEL], vec![&old, &new, YES], vec![old.as_str(); 11]] {
        let (answer, _) = change(steps, 5).await;
        assert!(matches!(answer, PinChangeAnswer::Decline), "{answer:?}");
    }
}

#[tokio::test]
async fn a_withdrawn_request_or_one_without_an_answer_ends_the_program() {
    for is_withdrawn in [true, false] {
        let fake = Fake::new(&["exec sleep 600"]);
        let timeout = if is_withdrawn { Duration::from_secs(60) } else { Duration::from_secs(3) };
        let queue = PromptQueue::new(Prompter::Pinentry(fake.pinentry.clone()), timeout);
        let (canceller, mut cancel) = Canceller::new();
        let turn = queue.turn(queue.admit(&Requester::CommandLine).unwrap(), &mut cancel).await.unwrap();
        let asked = summary();
        let (answer, ()) = tokio::join!(turn.ask(&asked, cancel.clone()), async {
            while fake.shown().is_empty() && is_withdrawn {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            if is_withdrawn {
                canceller.cancel();
            }
        });
        assert!(matches!((&answer, is_withdrawn), (Answer::Cancelled, true) | (Answer::TimeOut, false)), "{answer:?}");
        let process = fs::read_to_string(fake.folder.path().join("process")).unwrap();
        let is_gone = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", process.trim()));
            stat.map_or(true, |stat| stat.contains(") Z "))
        };
        for _ in 0..200 {
            if is_gone() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        assert!(is_gone(), "process {process}");
    }
}

#[tokio::test]
async fn a_terminal_is_put_back_when_the_question_is_taken_away() {
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::{LocalModes, tcgetattr};
    let master = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY).unwrap();
    grantpt(&master).unwrap();
    unlockpt(&master).unwrap();
    let name = ptsname(&master, Vec::new()).unwrap().into_string().unwrap();
    let terminal = fs::File::options().read(true).write(true).open(&name).unwrap();
    let echoes = || tcgetattr(&terminal).unwrap().local_modes.contains(LocalModes::ECHO | LocalModes::ICANON);
    assert!(echoes());
    let mut fake = Fake::new(&[&format!("stty -F '{name}' -echo -icanon; exec sleep 600")]);
    fake.pinentry.terminal = Some(name.clone());
    let asked = summary();
    let is_quiet = async {
        while echoes() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        answer = fake.pinentry.ask(&asked) => panic!("{answer:?}"),
        () = is_quiet => {}
    }
    assert!(echoes(), "as it was found");
    assert!(fake.told().contains(&format!("OPTION ttyname={name}")));
}

#[tokio::test]
async fn a_program_that_others_can_write_or_that_is_not_there_is_not_started() {
    let fake = Fake::new(&[YES, YES, PIN]);
    fs::set_permissions(&fake.pinentry.program, fs::Permissions::from_mode(0o777)).unwrap();
    assert!(matches!(fake.pinentry.ask(&summary()).await, Answer::NoPrompt));
    assert_eq!(fake.told(), Vec::<String>::new());
    for program in [Path::new("pinentry"), Path::new("/nonexistent/pinentry"), Path::new("/etc/passwd")] {
        let pinentry = Pinentry { program: program.to_owned(), ..fake.pinentry.clone() };
        assert!(matches!(pinentry.ask(&summary()).await, Answer::NoPrompt), "{}", program.display());
    }
}
