//! Regions × dates: a service counts for what and when its region's list says.

use sealagent::pki::trust::{Period, Region, Service};
use sealagent::pki::{Purpose, TrustStore};
use sealagent::verify::report::{Code, Indication, Report};
use std::io::Cursor;

use crate::forge::at;
use crate::forge::recipe::{Recipe, World};
use crate::known::Verifier;

/// Seal made 2026-01-10, signed 2026-06-01.
type Span = (Option<&'static str>, Option<&'static str>);

fn judge(ca: &[Span], maker: &[Span], names: [&str; 2]) -> Report {
    let recipe = Recipe::good();
    let world = recipe.world();
    let mut files = recipe.trust_files(&world);
    files.retain(|f| !f.name.starts_with("root") && f.name != "maker");
    let (mut store, problems) = TrustStore::from_files(files);
    assert!(problems.is_empty());
    add(&mut store, &world, names[0], Purpose::Signer, ca);
    add(&mut store, &world, names[1], Purpose::SealMaker, maker);
    store.link();
    Verifier::verify(Cursor::new(recipe.package(&world)), &recipe.context(&store))
}

fn add(store: &mut TrustStore, world: &World, name: &str, purpose: Purpose, spans: &[Span]) {
    let certificate = match purpose {
        Purpose::SealMaker => world.maker.certificate.clone(),
        _ => world.root.certificate.clone(),
    };
    let granted = spans.iter().map(|(from, until)| Period { from: from.map(at), until: until.map(at) }).collect();
    let region = Region { name: name.into(), next_update: None, status_service: false, accepted: true };
    store.add_region(region, [Service::new(purpose, certificate, Some(name.into()), granted)]);
}

#[test]
fn a_service_counts_at_the_time_of_its_use_whatever_came_later() {
    use Indication::{Indeterminate, TotalFailed, TotalPassed};
    const ALWAYS: Span = (None, None);
    const BEFORE_SEAL: Span = (None, Some("2026-01-09T00:00:00Z"));
    const TO_SPRING: Span = (None, Some("2026-03-01T00:00:00Z"));
    const TO_SUMMER: Span = (None, Some("2026-07-01T00:00:00Z"));
    const FROM_SPRING: Span = (Some("2026-03-01T00:00:00Z"), None);
    const FROM_SUMMER: Span = (Some("2026-07-01T00:00:00Z"), None);
    type Row = (&'static [Span], &'static [Span], Indication, Option<Code>);
    let table: [Row; 9] = [
        (&[ALWAYS], &[ALWAYS], TotalPassed, None),
        (&[TO_SUMMER], &[TO_SPRING], TotalPassed, None),
        (&[FROM_SPRING], &[TO_SPRING], TotalPassed, None),
        (&[TO_SPRING], &[ALWAYS], Indeterminate, Some(Code::SignerCertChain)),
        (&[FROM_SUMMER], &[ALWAYS], Indeterminate, Some(Code::SignerCertChain)),
        (&[TO_SPRING, FROM_SUMMER], &[ALWAYS], Indeterminate, Some(Code::SignerCertChain)),
        (&[BEFORE_SEAL, FROM_SPRING], &[ALWAYS], TotalPassed, None),
        (&[ALWAYS], &[FROM_SPRING], TotalFailed, Some(Code::SealMakerNotAuthorised)),
        (&[ALWAYS], &[BEFORE_SEAL, FROM_SPRING], TotalFailed, Some(Code::SealMakerNotAuthorised)),
    ];
    for (i, (ca, maker, indication, code)) in table.into_iter().enumerate() {
        let report = judge(ca, maker, ["shenzhen", "beijing"]);
        assert_eq!(report.indication, indication, "row {i}: {report:#?}");
        let codes: Vec<Code> = report.signatures[0].findings.iter().map(|f| f.code).collect();
        assert!(code.is_none_or(|code| codes.contains(&code)), "row {i}: {codes:?}");
    }
}

#[test]
fn report_names_the_region_of_signer_and_of_maker() {
    let report = judge(&[(None, None)], &[(None, None)], ["shenzhen", "beijing"]);
    let signature = &report.signatures[0];
    assert_eq!(signature.signer.as_ref().unwrap().region.as_deref(), Some("shenzhen"));
    assert_eq!(signature.seal.as_ref().unwrap().region.as_deref(), Some("beijing"));
}
