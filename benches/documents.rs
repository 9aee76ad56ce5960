//! Documents and signed values, judged and signed: CPU time of one thread, the least of several runs, everything in memory, no token.
//! `cargo bench --bench documents [-- PART…]` with the parts `pages`, `signatures`, `large`, `values`; all unless told.
//!
//! CPU time and not the clock on the wall, since machines are shared. How cost grows is told between each two sizes: twice the size costs
//! 2^exponent times as much, so 1.0 is a straight line.
#![allow(clippy::unwrap_used, missing_docs, dead_code)]

mod measure;
#[path = "../tests/common/world.rs"]
mod world;

use std::io::Cursor;

use measure::{Growth, cpu, trust};
use sealagent::pki::{Certificate, Known, TrustStore};
use sealagent::ses::{SesSignature, Version};
use sealagent::sm;
use sealagent::verify::report::Indication;
use sealagent::verify::{Context, Verifier};
use sealauthority::certificate::CertificateProfile;
use sealauthority::key::PrivateKey;
use sealauthority::name::Name;
use world::{World, contract, entry};

/// Lines on a page: 20 kB of page description, as much as a page of real text.
const LINES: usize = 80;

fn main() {
    let chosen: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let folder = tempfile::tempdir().unwrap();
    let mut bench = Bench::new(folder.path());
    for (name, part) in [
        ("pages", Bench::pages as fn(&mut Bench)),
        ("signatures", Bench::signatures),
        ("large", Bench::large),
        ("values", Bench::values),
    ] {
        if chosen.is_empty() || chosen.iter().any(|c| c == name) {
            part(&mut bench);
        }
    }
}

struct Bench {
    world: World,
    trust: TrustStore,
}

impl Bench {
    fn new(folder: &std::path::Path) -> Self {
        let world = World::new(&folder.join("region"));
        let trust = trust(&world, &folder.join("trust"));
        Self { world, trust }
    }

    fn context(&self) -> Context<'_> {
        Context::new(&self.trust, world::SIGNED_AT.parse().unwrap())
    }

    fn judge(&self, bytes: &[u8], context: &Context<'_>) {
        let report = Verifier::verify(Cursor::new(bytes), context);
        assert_eq!(report.indication, Indication::TotalPassed, "{:?}", report.signatures);
    }

    /// 1 to 5 000 pages.
    fn pages(&mut self) {
        let (mut verify, mut sign) = (Growth::new("verify, pages"), Growth::new("sign, pages"));
        for pages in [1, 10, 100, 1_000, 5_000] {
            let document = contract(pages, LINES);
            let times = (200 / pages).max(3);
            sign.add(pages, cpu(times, || self.world.sign(&document, Version::V4)));
            let signed = self.world.sign(&document, Version::V4);
            verify.add(pages, cpu(times, || self.judge(&signed, &self.context())));
        }
    }

    /// 1 to 20 signatures on ten pages.
    fn signatures(&mut self) {
        let mut verify = Growth::new("verify, signatures on 10 pages");
        let mut document = contract(10, LINES);
        for count in 1..=20 {
            document = self.world.sign(&document, Version::V4);
            if [1, 2, 5, 10, 20].contains(&count) {
                verify.add(count, cpu(50, || self.judge(&document, &self.context())));
            }
        }
    }

    /// 500 pages with a picture each that does not deflate: 52 MB.
    fn large(&mut self) {
        let document = measure::scanned(500, LINES, 100 << 10);
        let signed = self.world.sign(&document, Version::V4);
        let megabytes = signed.len() as f64 / 1e6;
        println!("500 pages with pictures: {megabytes:.1} MB");
        measure::row("sign it", cpu(5, || self.world.sign(&document, Version::V4)));
        measure::row("verify it", cpu(5, || self.judge(&signed, &self.context())));
    }

    /// Seal signatures by themselves against the SM2 operations in them alone: of as many companies as there are values, so that no signer's
    /// key comes back; once nothing known of the seals, once everything. With a picture of one pixel, and with one as real seals have it.
    fn values(&mut self) {
        self.values_of_one_size();
        self.world.picture = measure::picture(110);
        self.values_of_one_size();
    }

    fn values_of_one_size(&mut self) {
        const COUNT: usize = 100;
        let at = world::MADE_AT.parse().unwrap();
        let mut values = Vec::new();
        for i in 0..COUNT {
            let key = PrivateKey::generate().unwrap();
            let subject = Name::seal_owner(world::USCC, "深圳市示例科技有限公司", &format!("440300000{i:05}"));
            let certificate = self.world.region.issue(CertificateProfile::CompanySigning, &subject, &key.public_key(), at, 365);
            (self.world.key, self.world.certificate) = (key, certificate.unwrap());
            let signed = self.world.sign(&contract(1, 1), Version::V4);
            let part = |name| entry(&signed, &format!("Doc_0/Signs/Sign_0/{name}"));
            values.push((part("SignedValue.dat"), part("Signature.xml")));
        }
        // The list of revoked certificates is the same; the CA and its root are in the store.
        let ca = Certificate::parse(self.world.region.ca().der()).unwrap();
        println!("seals of {:.1} kB", self.world.seal(Version::V4).raw().len() as f64 / 1e3);
        let jobs: Vec<_> = values.iter().map(|(value, _)| Jobs::of(value, &ca)).collect();
        for known in [false, true] {
            let all: Vec<&(Vec<u8>, Vec<u8>)> = values.iter().collect();
            let run = |known: Option<&Known>| {
                for (value, data) in &all {
                    let report = Verifier::verify(Cursor::new(value), &Context { data: Some(data), known, ..self.context() });
                    assert_eq!(report.indication, Indication::TotalPassed, "{report:?}");
                }
            };
            let memory = Known::new();
            run(Some(&memory));
            let whole = cpu(20, || run(known.then_some(&memory)));
            let pure = cpu(20, || jobs.iter().for_each(|jobs| jobs.run(known)));
            let what = if known { "seal known" } else { "seal and certificates new" };
            println!(
                "signed values, {what:27} {:9.0} /s · their SM2 operations alone {:9.0} /s · {:3.0} % of that limit",
                COUNT as f64 / whole,
                COUNT as f64 / pure,
                pure / whole * 100.0
            );
        }
    }
}

/// The SM2 verifications that a seal signature needs: signer, seal maker, and both certificates.
struct Jobs(Vec<(sm::Sm2PublicKey, Vec<u8>, sm::Sm2Signature)>);

impl Jobs {
    fn of(value: &[u8], ca: &Certificate) -> Self {
        let value = SesSignature::parse(value).unwrap();
        let seal = value.seal();
        let signer = Certificate::parse(value.signer_certificate()).unwrap();
        let maker = Certificate::parse(seal.maker_certificate()).unwrap();
        let job = |key: &Certificate, message: &[u8], signature: &[u8]| {
            (*key.key().sm2().unwrap(), message.to_vec(), sm::read_signature(signature).unwrap().0)
        };
        let issued = |certificate: &Certificate| job(ca, certificate.tbs(), certificate.signature());
        Self(vec![
            job(&signer, value.signed_bytes(), value.signature()),
            job(&maker, &seal.signed_bytes(), seal.signature()),
            issued(&signer),
            issued(&maker),
        ])
    }

    /// All, or the signer's alone.
    fn run(&self, signer_alone: bool) {
        let count = if signer_alone { 1 } else { self.0.len() };
        for (key, message, signature) in &self.0[..count] {
            assert!(sm::verify(key, message, signature));
        }
    }
}
