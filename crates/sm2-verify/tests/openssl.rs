//! Against OpenSSL. Its program makes signatures and judges them, changed in half of the cases, over the whole message (ignored where there
//! is no `openssl` that knows SM2). Its library judges the cases of differential.rs through judge.c (ignored without a C compiler and
//! the library's headers: libssl-dev).
#![allow(clippy::unwrap_used)]

mod cases;

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use cases::{Judge, Number};
use libtest_mimic::{Arguments, Trial};
use sm2_verify::{PreparedKey, PublicKey};
use sm3::Digest as _;

/// How many signatures are judged.
const CASES: usize = 300;
const ID: &str = "1234567812345678";
/// SubjectPublicKeyInfo of an SM2 key up to the point's x.
const SPKI: &[u8] =
    b"\x30\x59\x30\x13\x06\x07\x2a\x86\x48\xce\x3d\x02\x01\x06\x08\x2a\x81\x1c\xcf\x55\x01\x82\x2d\x03\x42\x00\x04";
/// a, b, xG, yG (GB/T 32918.5).
const CURVE: &str = "fffffffeffffffffffffffffffffffffffffffff00000000fffffffffffffffc28e9fa9e9d9f5e344d5a9e4bcf6509a7f39789f515ab8f92ddbcbd414d940e93\
32c4ae2c1f1981195f9904466a39c9948fe30bbff2660be1715a4589334c74c7bc3736a2f4f6779c59bdcee36b692153d0a9877cc62a474002df32e52139f0a0";

fn main() {
    let arguments = Arguments::from_args();
    let absent = !openssl(Path::new("."), &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:sm2"]);
    let program = Trial::test("openssl_gives_the_same_verdicts", || {
        same_verdicts();
        Ok(())
    });
    let built = Libcrypto::build();
    let trial = |name: String, run: fn(&mut dyn Judge)| {
        let built = built.clone();
        Trial::test(name, move || {
            run(&mut Libcrypto::start(&built.ok_or("there is no judge")?));
            Ok(())
        })
    };
    let edges = cases::EDGES.iter().map(|(name, run)| trial(format!("{name}_get_the_answer_of_libcrypto"), *run));
    let random = trial("ten_thousand_random_cases_get_the_answer_of_libcrypto".into(), |j| cases::random_cases(j, 10_000, 3));
    let million = trial("a_million_random_cases_get_the_answer_of_libcrypto".into(), |j| cases::random_cases(j, 1_000_000, 4));
    let mut trials = vec![program.with_ignored_flag(absent)];
    trials.extend(edges.chain([random]).map(|trial| trial.with_ignored_flag(built.is_none())));
    // Minutes: cargo test --release -p sm2-verify -- --ignored
    trials.extend(built.is_some().then(|| million.with_ignored_flag(true)));
    libtest_mimic::run(&arguments, trials).exit();
}

/// judge.c, running.
struct Libcrypto {
    child: Child,
    to: ChildStdin,
    from: ChildStdout,
}

impl Libcrypto {
    /// Where it is, once it is compiled.
    fn build() -> Option<PathBuf> {
        let program = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("sm2-judge");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/judge.c");
        let built = Command::new("cc").args(["-O2", source, "-lcrypto", "-o"]).arg(&program).stderr(Stdio::null()).status();
        built.is_ok_and(|status| status.success()).then_some(program)
    }

    fn start(program: &Path) -> Self {
        let mut child = Command::new(program).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let (to, from) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        Self { child, to, from }
    }

    /// `1` right, `0` wrong, `k` no key.
    fn ask(&mut self, xy: &[u8; 64], cases: &[[Number; 3]]) -> Vec<u8> {
        // Few enough that neither side waits for the other to read.
        let mut answers = vec![0; cases.len()];
        for (cases, answers) in cases.chunks(100).zip(answers.chunks_mut(100)) {
            let asked: Vec<u8> = cases.iter().flat_map(|case| [xy.as_slice(), case.as_flattened()].concat()).collect();
            self.to.write_all(&asked).unwrap();
            self.to.flush().unwrap();
            self.from.read_exact(answers).unwrap();
        }
        answers
    }
}

impl Judge for Libcrypto {
    fn takes_key(&mut self, xy: &[u8; 64]) -> bool {
        self.ask(xy, &[[[1; 32]; 3]]) != b"k"
    }

    fn verdicts(&mut self, xy: &[u8; 64], cases: &[[Number; 3]]) -> Vec<bool> {
        self.ask(xy, cases).into_iter().map(|answer| answer == b'1').collect()
    }
}

impl Drop for Libcrypto {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn openssl(folder: &Path, arguments: &[&str]) -> bool {
    let status = Command::new("openssl").current_dir(folder).args(arguments).stdout(Stdio::null()).stderr(Stdio::null()).status();
    status.is_ok_and(|status| status.success())
}

fn same_verdicts() {
    let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join("openssl");
    fs::create_dir_all(&folder).unwrap();
    let run = |arguments: &[&str]| openssl(&folder, arguments);
    let distid = format!("distid:{ID}");
    let (mut right, mut wrong) = (0, 0);
    for case in 0..CASES {
        if case % 20 == 0 {
            assert!(run(&["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:sm2", "-out", "key.pem"]));
            assert!(run(&["pkey", "-in", "key.pem", "-pubout", "-outform", "DER", "-out", "public.der"]));
        }
        let public = fs::read(folder.join("public.der")).unwrap();
        let xy: [u8; 64] = public.strip_prefix(SPKI).unwrap().try_into().unwrap();
        let mut message = format!("message {case}").into_bytes();
        fs::write(folder.join("message"), &message).unwrap();
        assert!(run(&["dgst", "-sm3", "-sign", "key.pem", "-sigopt", &distid, "-out", "signature", "message"]));
        let (mut r, mut s) = read_signature(&fs::read(folder.join("signature")).unwrap());
        match case % 6 {
            0 => message[0] ^= 1,
            1 => r[case % 32] ^= 1 << (case % 8),
            2 => s[case % 32] ^= 1 << (case % 8),
            _ => {}
        }
        fs::write(folder.join("message"), &message).unwrap();
        fs::write(folder.join("signature"), write_signature(&r, &s)).unwrap();
        let expected = run(&[
            "dgst",
            "-sm3",
            "-verify",
            "public.der",
            "-keyform",
            "DER",
            "-sigopt",
            &distid,
            "-signature",
            "signature",
            "message",
        ]);
        assert_eq!(expected, case % 6 > 2, "openssl on case {case}");
        let key = PublicKey::from_xy(&xy).unwrap();
        let e = digest(&xy, &message);
        assert_eq!(sm2_verify::verify(&key, &e, &r, &s), expected, "case {case}");
        assert_eq!(PreparedKey::new(&key).verify(&e, &r, &s), expected, "case {case}");
        if expected { right += 1 } else { wrong += 1 }
    }
    assert!(right >= CASES / 3 && wrong >= CASES / 3);
}

/// e = SM3(Z ‖ M).
fn digest(xy: &[u8; 64], message: &[u8]) -> [u8; 32] {
    let curve: Vec<u8> = (0..128).map(|i| u8::from_str_radix(&CURVE[2 * i..2 * i + 2], 16).unwrap()).collect();
    let bits = (ID.len() as u16 * 8).to_be_bytes();
    let z = sm3::Sm3::new().chain_update(bits).chain_update(ID).chain_update(curve).chain_update(xy).finalize();
    sm3::Sm3::new().chain_update(z).chain_update(message).finalize().into()
}

/// From DER with short lengths, as openssl writes it.
fn read_signature(der: &[u8]) -> ([u8; 32], [u8; 32]) {
    let scalar = |at: usize| -> ([u8; 32], usize) {
        let length = usize::from(der[at + 1]);
        let digits = &der[at + 2..at + 2 + length];
        let digits = digits.strip_prefix(&[0]).unwrap_or(digits);
        let mut out = [0; 32];
        out[32 - digits.len()..].copy_from_slice(digits);
        (out, at + 2 + length)
    };
    let (r, next) = scalar(2);
    (r, scalar(next).0)
}

fn write_signature(r: &[u8; 32], s: &[u8; 32]) -> Vec<u8> {
    let mut out = vec![0x30, 0];
    for scalar in [r, s] {
        let digits = &scalar[scalar.iter().take_while(|d| **d == 0).count().min(31)..];
        let zero = usize::from(digits[0] >> 7);
        out.extend([2, (digits.len() + zero) as u8]);
        out.resize(out.len() + zero, 0);
        out.extend(digits);
    }
    out[1] = (out.len() - 2) as u8;
    out
}
